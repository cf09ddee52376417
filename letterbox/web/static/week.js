// A week of hours that can be painted: by mouse, by finger and by keys. What it paints are the
// form's own boxes, so that nothing else is sent than without it.

const table = document.querySelector("[data-week]");
const tools = document.querySelector("[data-week-tools]");
const mode = tools.querySelector("[data-mode]");
const rows = [...table.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("input")]);
const boxes = rows.flat();
const HOURS = rows.length;
const DAYS = rows[0].length;
const place = new Map();
rows.forEach((row, hour) => row.forEach((box, day) => place.set(box, { hour, day })));
tools.hidden = false;

// A stroke: what it sets, where it began, and how all was before, so that Escape takes it back.
let stroke = null;
let from = null; // in "from, until": the first hour, once it is tapped

const state = () => boxes.map((box) => box.checked);
const put = (before) => boxes.forEach((box, nth) => { box.checked = before[nth]; });

function paint(a, b, on) {
  const [first, last] = [place.get(a), place.get(b)];
  for (let hour = Math.min(first.hour, last.hour); hour <= Math.max(first.hour, last.hour); hour++) {
    for (let day = Math.min(first.day, last.day); day <= Math.max(first.day, last.day); day++) {
      rows[hour][day].checked = on;
    }
  }
}

const boxAt = (x, y) => document.elementFromPoint(x, y)?.closest("td")?.querySelector("input");
const boxOf = (target) => target.closest?.("td")?.querySelector("input");

function begin(box) {
  stroke = { box, on: !box.checked, before: state() };
  paint(box, box, stroke.on);
}

function follow(box) {
  if (!stroke || !place.has(box)) return;
  put(stroke.before);
  paint(stroke.box, box, stroke.on);
  focusOn(box);
}

// ---- mouse and finger ----

let handled = false; // the click that follows was a stroke, and is not to toggle once more

table.addEventListener("pointerdown", (event) => {
  const box = boxOf(event.target);
  handled = false;
  if (!box || event.button) return;
  if (event.pointerType === "mouse" || mode.value === "paint") {
    event.preventDefault();
    begin(box);
    focusOn(box);
    handled = true;
  }
});
addEventListener("pointermove", (event) => {
  if (stroke) follow(boxAt(event.clientX, event.clientY));
});
addEventListener("pointerup", () => { stroke = null; });
addEventListener("pointercancel", () => {
  if (stroke) put(stroke.before);
  stroke = null;
});
table.addEventListener("click", (event) => {
  const box = boxOf(event.target);
  if (!box) return;
  if (handled) {
    // The browser has toggled the box, and takes that back when it is prevented.
    const on = box.checked !== (event.target === box);
    event.preventDefault();
    handled = false;
    setTimeout(() => { box.checked = on; });
    return;
  }
  if (mode.value !== "span" || event.detail === 0) {
    if (event.target !== box) box.click();
    return;
  }
  if (event.target !== box) box.checked = !box.checked;
  if (from) {
    paint(from, box, from.checked);
    from = null;
  } else {
    from = box;
  }
});
mode.addEventListener("change", () => {
  from = null;
  table.classList.toggle("paint", mode.value === "paint");
});

// ---- keys: one stop, arrows within ----

function focusOn(box) {
  for (const each of boxes) each.tabIndex = each === box ? 0 : -1;
  box.focus();
}
for (const each of boxes) each.tabIndex = -1;
boxes[0].tabIndex = 0;

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
table.addEventListener("keydown", (event) => {
  const here = place.get(event.target);
  if (!here) return;
  if (event.key === "Escape" && stroke) {
    put(stroke.before);
    stroke = null;
    return;
  }
  const step = STEPS[event.key];
  if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const hour = Math.min(HOURS - 1, Math.max(0, here.hour + step[0]));
  const day = Math.min(DAYS - 1, Math.max(0, here.day + step[1]));
  if (event.shiftKey) {
    stroke ??= { box: event.target, on: event.target.checked, before: state() };
    follow(rows[hour][day]);
  } else {
    focusOn(rows[hour][day]);
  }
});
table.addEventListener("keyup", (event) => {
  if (event.key === "Shift") stroke = null;
});

// ---- headings flip their line ----

function flips(heading, line) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  const what = document.createElement("span");
  what.className = "unseen";
  what.textContent = `: ${tools.dataset.all}`;
  button.append(what);
  button.addEventListener("click", () => {
    const on = !line.every((box) => box.checked);
    for (const box of line) box.checked = on;
  });
  heading.append(button);
}
table.querySelectorAll("thead th").forEach((each, day) => flips(each, rows.map((row) => row[day])));
table.querySelectorAll("tbody th").forEach((each, hour) => flips(each, rows[hour]));
