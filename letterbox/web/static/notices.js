// Notices in this browser: it is asked for permission when the button is pressed, and not before.

const form = document.querySelector("form[data-push]");

function octets(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (each) => each.charCodeAt(0));
}

async function subscribed() {
  if (await Notification.requestPermission() !== "granted") throw new Error("denied");
  const worker = await navigator.serviceWorker.register("/notices-worker.js");
  await navigator.serviceWorker.ready;
  return worker.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: octets(form.dataset.push),
  });
}

if (form && "serviceWorker" in navigator && "PushManager" in window) {
  form.closest("[hidden]").hidden = false;
  form.querySelector("button").addEventListener("click", async (event) => {
    event.preventDefault();
    const said = form.querySelector("[role=alert]");
    said.hidden = true;
    try {
      form.elements.subscription.value = JSON.stringify((await subscribed()).toJSON());
      form.requestSubmit();
    } catch {
      // Said no, or the browser's push service is not there.
      said.hidden = false;
    }
  });
}
