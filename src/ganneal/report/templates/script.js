"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  // Light and dark: the system's choice until somebody chooses; remembered where the browser lets a file remember.
  const themed = document.querySelector("#theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => { themed.textContent = isDark() ? "Light theme" : "Dark theme"; };
  try { const kept = localStorage.getItem("ganneal-theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch {}
  name();
  system.addEventListener("change", name);
  themed.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("ganneal-theme", root.dataset.theme); } catch {}
    name();
  });

  // Samples over time: each track shows the last frame drawn up to where the slider stands.
  for (const player of all(".player")) {
    const slider = player.querySelector("input[type=range]");
    const output = player.querySelector("output");
    const stops = JSON.parse(slider.dataset.stops);
    const labels = JSON.parse(slider.dataset.labels);
    for (const track of all(".strip", player)) track.removeAttribute("tabindex");
    const show = () => {
      const at = stops[slider.valueAsNumber];
      output.textContent = labels[slider.valueAsNumber];
      slider.setAttribute("aria-valuetext", output.textContent);
      for (const track of all(".strip", player)) {
        const frames = all("li", track);
        let shown = 0;
        frames.forEach((frame, index) => { if (Number(frame.dataset.at) <= at + 1e-6) shown = index; });
        frames.forEach((frame, index) => { frame.hidden = index !== shown; });
      }
    };
    slider.addEventListener("input", show);
    show();
    const play = player.querySelector(".play");
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) play.hidden = true;
    slider.addEventListener("pointerdown", stop);
    slider.addEventListener("keydown", stop);
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) slider.value = "0";
      play.textContent = "Pause";
      show();
      timer = setInterval(() => {
        slider.stepUp();
        show();
        if (slider.value === slider.max) stop();
      }, 450);
    });
  }

  // Which seed is shown.
  for (const choice of all(".choice")) {
    const parts = all("[data-group]", choice.closest("section"));
    const show = () => {
      const chosen = choice.querySelector("input:checked").value;
      for (const part of parts) part.hidden = part.dataset.group !== chosen;
    };
    choice.addEventListener("change", show);
    show();
  }

  // Copying, by the clipboard or, where a file has none, by selecting.
  for (const button of all(".copy button")) {
    const said = button.textContent;
    const text = button.closest(".copy").querySelector("pre");
    button.addEventListener("click", async () => {
      let done = true;
      try { await navigator.clipboard.writeText(text.textContent); } catch {
        getSelection().selectAllChildren(text);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = said; }, 2000);
    });
  }
})();
