// Old mail: how far the reading is, while the file is on its way.

const form = document.getElementById("upload");
const course = document.getElementById("course");
const EVERY = 2000; // milliseconds

async function look() {
  try {
    const response = await fetch("/start/progress");
    if (response.ok) course.innerHTML = await response.text();
  } catch {
    // Not there just now: asked again.
  }
}

async function follow() {
  await look();
  if (course.querySelector("[data-reading]")) setTimeout(follow, EVERY);
}

if (course?.querySelector("[data-reading]")) setTimeout(follow, EVERY);

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const looking = setInterval(look, EVERY);
  try {
    // The page that it leads to says what became of it.
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
    if (response.type !== "opaqueredirect") {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.getElementById("main").replaceWith(document.adoptNode(page.getElementById("main")));
      document.querySelector("[role=alert]")?.focus();
      return;
    }
    location.assign("/start");
  } catch {
    location.assign("/start");
  } finally {
    clearInterval(looking);
  }
});
