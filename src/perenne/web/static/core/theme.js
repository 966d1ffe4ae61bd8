// Light or dark: as the system says until somebody chooses.
import { signal, effect } from "./dom.js";

export const theme = signal(document.documentElement.dataset.theme || "light");

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (!kept()) theme.value = event.matches ? "dark" : "light";
});

export function switchTheme() {
  theme.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("perenne-theme", theme.value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** Read a colour or size of the style sheet, for what draws on a canvas. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function kept() {
  try {
    return localStorage.getItem("perenne-theme");
  } catch {
    return null;
  }
}
