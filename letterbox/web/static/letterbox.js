// What every page gains by a script; none needs one.

// A form that is sent shows that it is, once that takes over a second, and is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => form.setAttribute("aria-busy", "true"), 1000);
});
// Back from the next page, it may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});

// j and k go through the rows of a list that has focus; / goes to the search.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement;
  const list = at?.closest("[data-keys]");
  if (!list || at.matches("input, select, textarea")) return;
  if (event.key === "/") {
    document.querySelector("input[type=search]")?.focus();
    event.preventDefault();
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const rows = [...list.querySelectorAll("tbody tr")];
  const here = rows.indexOf(at.closest("tr"));
  rows[here + step]?.querySelector("td a, td button")?.focus();
});

// What is under "More" lies over the page: it closes when one goes on elsewhere, and by Escape.
const more = document.querySelector("details.more");
if (more) {
  const close = () => more.removeAttribute("open");
  more.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !more.contains(event.relatedTarget)) close();
  });
  document.addEventListener("click", (event) => {
    if (!more.contains(event.target)) close();
  });
  more.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    more.querySelector("summary").focus();
  });
}
