// Companies: the list follows the search; an address is copied.

const search = document.querySelector("form[data-search]");
let asked;
let timer;

async function show() {
  asked?.abort();
  asked = new AbortController();
  const said = new URLSearchParams(new FormData(search));
  for (const [name, value] of [...said]) if (!value) said.delete(name);
  const place = `${search.getAttribute("action")}?${said}`;
  try {
    const response = await fetch(place, { signal: asked.signal });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const list = page.getElementById(search.dataset.search);
    if (!list) return;
    document.getElementById(search.dataset.search).replaceWith(document.adoptNode(list));
    history.replaceState(null, "", place);
  } catch {
    // Typed on, or not there: the button asks again.
  }
}

search?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(show, 250);
});

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  });
}
