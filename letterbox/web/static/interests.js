// What the pages of interests gain by a script: numbers that are counted beside the page, and
// categories found by typing. The form is sent as it is without it.

// ---- the list: how many messages fit ----

const count = document.querySelector("[data-count-fits]");
if (count) {
  fetch(count.href, { headers: { Accept: "text/html" } }).then(async (answer) => {
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const link of document.querySelectorAll("[data-fits]")) {
      const counted = page.querySelector(`[data-fits="${CSS.escape(link.dataset.fits)}"]`);
      if (counted) link.replaceChildren(...counted.childNodes);
    }
  }).catch(() => {}); // the link still leads to the numbers
}

// ---- the form ----

const form = document.querySelector("[data-wish]");
if (form) enhance(form);

function enhance(form) {
  const field = form.querySelector("#f-category");
  const chips = field.querySelector(".chips");
  const input = field.querySelector("#f-q");
  const boxes = [...field.querySelectorAll(".browse input")];
  const MOST = 30;

  // The boxes of the tree show what is chosen; the chips alone are sent.
  field.querySelector(".found")?.remove();
  field.querySelector(".find button").hidden = true;
  for (const box of boxes) {
    box.removeAttribute("name");
    box.disabled = false;
    box.addEventListener("change", () => (box.checked ? add(box.value) : drop(box.value)));
  }
  const boxOf = (id) => boxes.find((box) => box.value === id);
  const chipOf = (id) => [...chips.querySelectorAll("input")].find((each) => each.value === id);

  function removable(chip) {
    const box = chip.querySelector("input");
    const id = box.value;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = field.dataset.remove;
    const about = document.createElement("span");
    about.className = "unseen";
    about.textContent = `: ${chip.querySelector("label").textContent.trim()}`;
    button.append(about);
    button.addEventListener("click", () => { drop(id); input.focus(); });
    box.hidden = true;
    chip.append(button);
  }

  function add(id) {
    const box = boxOf(id);
    box.checked = true;
    if (chipOf(id)) return;
    const chip = document.createElement("li");
    const label = document.createElement("label");
    const hidden = document.createElement("input");
    Object.assign(hidden, { type: "checkbox", name: "category", value: id, checked: true });
    const path = document.createElement("span");
    const below = Number(box.dataset.below);
    path.textContent = box.dataset.path
      + (below ? ` (${field.dataset.covers.replace("{n}", String(below))})` : "");
    label.className = "box";
    label.append(hidden, path);
    chip.append(label);
    chips.append(chip);
    removable(chip);
    changed();
  }

  function drop(id) {
    chipOf(id)?.closest("li").remove();
    const box = boxOf(id);
    if (box) box.checked = false;
    changed();
  }
  chips.querySelectorAll("li").forEach(removable);

  // A combobox with a list (ARIA APG): the focus stays in the field.
  const list = document.createElement("ul");
  Object.assign(list, { id: "options", className: "options", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", form.querySelector("label[for=f-q]").textContent);
  input.after(list);
  const said = document.createElement("p");
  said.className = "unseen";
  said.setAttribute("aria-live", "polite");
  list.after(said);
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "options",
  })) input.setAttribute(name, value);
  let at = -1;

  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  function find() {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return boxes.filter((box) => !box.checked
      && words.every((word) => plain(box.dataset.names).includes(word))).slice(0, MOST);
  }

  function show(found) {
    list.replaceChildren(...found.map((box, nth) => {
      const option = document.createElement("li");
      option.id = `option-${nth}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.id = box.value;
      option.textContent = box.dataset.path;
      return option;
    }));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    said.textContent = input.value ? field.dataset.found.replace("{n}", String(found.length)) : "";
    go(found.length ? 0 : -1);
  }

  function go(to) {
    list.children[at]?.setAttribute("aria-selected", "false");
    at = to;
    const option = list.children[at];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    input.value = "";
    show([]);
    add(option.dataset.id);
  }

  input.addEventListener("input", () => show(find()));
  input.addEventListener("blur", () => show([]));
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const option = event.target.closest("li");
    if (option) choose(option);
  });
  input.addEventListener("keydown", (event) => {
    const size = list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) show(find());
      else go((at + (event.key === "ArrowDown" ? 1 : size - 1)) % size);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && at >= 0) choose(list.children[at]);
    } else if (event.key === "Escape") {
      show([]);
    }
  });
  form.addEventListener("keydown", (event) => {
    // The first button of the form is the search: Enter in another field saves.
    if (event.key !== "Enter" || event.target === input || !event.target.matches("input")) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector("button.main"));
  });

  // What would fit is counted once somebody has stopped typing.
  const effect = form.querySelector("#effect");
  let timer = null;
  let asking = 0;
  function changed() {
    clearTimeout(timer);
    timer = setTimeout(ask, 800);
  }
  async function ask() {
    const nth = ++asking;
    const body = new URLSearchParams(new FormData(form));
    body.set("do", "try");
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    if (nth !== asking || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("#effect");
    if (found) effect.replaceChildren(...found.childNodes);
  }
  form.addEventListener("change", (event) => { if (event.target !== input) changed(); });
}
