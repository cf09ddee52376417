// Values to be pasted elsewhere: a button that copies them, where the browser lets it.

for (const button of document.querySelectorAll("button[data-copy]")) {
  const value = document.getElementById(button.dataset.copy);
  if (!navigator.clipboard || !value) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const before = [...button.childNodes];
    await navigator.clipboard.writeText(value.textContent);
    button.textContent = button.dataset.done;
    button.setAttribute("aria-live", "polite");
    setTimeout(() => { button.replaceChildren(...before); }, 2000);
  });
}
