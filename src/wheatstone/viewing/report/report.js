"use strict";
(() => {
  const dialog = document.getElementById("large");
  const picture = document.getElementById("large-picture");
  const title = document.getElementById("large-title");
  const file = document.getElementById("large-file");
  let row = [], at = 0;

  const show = (index) => {
    at = (index + row.length) % row.length;
    const button = row[at];
    const image = button.querySelector("img");
    picture.src = image.src;
    picture.alt = image.alt;
    picture.width = image.width;
    picture.classList.toggle("moving", button.classList.contains("moving"));
    title.textContent = image.alt;
    file.hidden = !button.dataset.file;
    if (button.dataset.file) file.href = button.dataset.file;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".cell button");
    if (!button) return;
    row = [...button.closest(".cells").querySelectorAll("button")];
    show(row.indexOf(button));
    dialog.showModal();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
  dialog.addEventListener("close", () => row[at].focus());
  document.getElementById("large-close").addEventListener("click", () => dialog.close());
  document.getElementById("large-back").addEventListener("click", () => show(at - 1));
  document.getElementById("large-on").addEventListener("click", () => show(at + 1));
})();
