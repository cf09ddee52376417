// Passkeys: the browser makes or shows one, and the form carries what it says. Without a script,
// or in a browser that knows none, there is a link or a password.

const known = "PublicKeyCredential" in window
  && "parseCreationOptionsFromJSON" in PublicKeyCredential;

async function options(form) {
  const reply = await fetch(form.dataset.options, {
    method: "POST",
    body: new URLSearchParams({ csrf: form.elements.csrf.value }),
  });
  if (!reply.ok) throw new Error(reply.status);
  return reply.json();
}

async function answered(form) {
  const asked = await options(form);
  return form.dataset.passkey === "make"
    ? navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked),
    })
    : navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked),
    });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!known) continue;
  form.closest("[hidden]").hidden = false;
  form.querySelector("button").addEventListener("click", async (event) => {
    event.preventDefault();
    const said = form.querySelector("[role=alert]");
    said.hidden = true;
    try {
      const credential = await answered(form);
      form.elements.answer.value = JSON.stringify(credential.toJSON());
      form.requestSubmit();
    } catch {
      // Cancelled, or no passkey of ours there.
      said.hidden = false;
    }
  });
}
