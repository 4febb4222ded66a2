"use strict";
const main = document.querySelector("main");
const photos = [...main.children];
const chips = [...document.querySelectorAll(".chip input")];
const order = document.querySelector("select");
const names = new Map(photos.map(photo => [photo, photo.querySelector(".name").textContent]));

// What is shown.
function show() {
  const wanted = new Set(chips.filter(chip => chip.checked).map(chip => chip.value));
  for (const photo of photos) photo.hidden = !wanted.has(photo.classList[1]);
}
for (const chip of chips) {
  chip.addEventListener("change", show);
  // A double click shows that kind alone, or all again.
  chip.parentElement.addEventListener("dblclick", () => {
    const alone = chips.some(other => other !== chip && other.checked);
    for (const other of chips) other.checked = !alone || other === chip;
    show();
  });
}
const natural = new Intl.Collator(undefined, { numeric: true }).compare;
const orders = {
  review: () => photos,
  doubt: () => [...photos].sort((a, b) => b.dataset.doubt - a.dataset.doubt),
  name: () => [...photos].sort((a, b) => natural(names.get(a), names.get(b))),
};
order.addEventListener("change", () => main.replaceChildren(...orders[order.value]()));

// The photo is wiped over its cut-out.
main.addEventListener("pointermove", event => {
  const pair = event.target.closest(".stage")?.querySelector(".pair");
  if (!pair) return;
  const box = pair.getBoundingClientRect();
  const x = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  pair.style.setProperty("--x", `${(100 * x).toFixed(1)}%`);
});
main.addEventListener("pointerout", event => {
  const stage = event.target.closest(".stage");
  if (stage && !stage.contains(event.relatedTarget)) stage.querySelector(".pair").style.removeProperty("--x");
});

// One photo from near, and the command that makes it a further example.
const dialog = document.querySelector("dialog");
const [original, result] = dialog.querySelectorAll(".view");
const dot = dialog.querySelector(".dot");
const command = dialog.querySelector("pre");
const quoted = text => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
let current = null;

main.addEventListener("click", event => {
  const photo = event.target.closest(".stage")?.parentElement;
  if (!photo || !photo.querySelector(".before")) return;
  current = photo;
  dialog.querySelector("h2").textContent = names.get(photo);
  dialog.style.setProperty("--a", photo.style.getPropertyValue("--a"));
  original.firstElementChild.src = photo.querySelector(".before").src;
  result.firstElementChild.src = photo.querySelector(".after").src;
  dot.hidden = command.hidden = true;
  dialog.showModal();
});
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
original.addEventListener("click", event => {
  const box = original.getBoundingClientRect();
  const [width, height] = current.dataset.size.split(" ").map(Number);
  const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  const x = Math.min(width - 1, Math.floor(share[0] * width)), y = Math.min(height - 1, Math.floor(share[1] * height));
  dot.style.left = `${100 * share[0]}%`;
  dot.style.top = `${100 * share[1]}%`;
  const out = document.body.dataset.out;
  command.querySelector("code").textContent =
    `mattelike matte --only unsure,absent --more-like ${quoted(current.dataset.source)} --point ${x},${y} -o ${quoted(out)}`;
  dot.hidden = command.hidden = false;
});
command.querySelector("button").addEventListener("click", async event => {
  await navigator.clipboard.writeText(command.querySelector("code").textContent);
  event.target.textContent = "copied";
  setTimeout(() => { event.target.textContent = "copy"; }, 1500);
});
