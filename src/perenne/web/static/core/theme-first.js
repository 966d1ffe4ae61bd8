// Runs before anything is drawn, so that nobody who chose dark sees a white flash.
try {
  const kept = localStorage.getItem("perenne-theme");
  document.documentElement.dataset.theme = kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
} catch {
  document.documentElement.dataset.theme = "light";
}
