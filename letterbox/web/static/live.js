// New rows without a reload: the server says that something has come, the page fetches itself
// again, and what is new waits behind a button. Nothing moves under the reader's eyes.

const live = document.querySelector("#live");
const rows = () => document.querySelector("#rows");
const ids = (within) => new Set([...within.querySelectorAll("tr[id]")].map((row) => row.id));
const EVERY = 10_000; // milliseconds between announcements

let fetched = null;
let announced = 0;

const button = document.createElement("button");
button.type = "button";
button.hidden = true;
const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("aria-live", "polite");
const broken = document.createElement("p");
broken.hidden = true;
live.replaceChildren(button, said, broken);

function words(n) {
  return n === 1 ? live.dataset.newOne : live.dataset.newMany.replace("{n}", String(n));
}

function show(page) {
  rows().replaceWith(page.querySelector("#rows"));
  button.hidden = true;
  fetched = null;
}

async function look() {
  const answer = await fetch(live.dataset.here, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const count of page.querySelectorAll("[data-count]")) {
    for (const shown of document.querySelectorAll(`[data-count="${count.dataset.count}"]`)) {
      shown.textContent = count.textContent;
    }
  }
  if (!rows().dataset.first) return;
  const known = ids(rows());
  const fresh = [...ids(page)].filter((id) => !known.has(id)).length;
  if (!fresh) return;
  if (!known.size) {
    show(page);
  } else {
    fetched = page;
    button.textContent = words(fresh);
    button.hidden = false;
  }
  if (Date.now() - announced > EVERY) {
    announced = Date.now();
    said.textContent = words(fresh);
  }
}

button.addEventListener("click", () => {
  if (!fetched) return;
  const known = ids(rows());
  show(fetched);
  const first = [...rows().querySelectorAll("tr[id]")].find((row) => !known.has(row.id));
  first?.querySelector("td a")?.focus();
});

const source = new EventSource(`${live.dataset.events}?after=${live.dataset.newest}`);
source.addEventListener("changed", look);
source.addEventListener("open", () => { broken.hidden = true; });
source.addEventListener("error", () => {
  if (!broken.hidden) return;
  const time = new Date().toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });
  const link = document.createElement("a");
  link.href = live.dataset.here;
  link.textContent = live.dataset.reload;
  broken.replaceChildren(live.dataset.broken.replace("{time}", time), " ", link);
  broken.hidden = false;
});
addEventListener("pagehide", () => source.close());
