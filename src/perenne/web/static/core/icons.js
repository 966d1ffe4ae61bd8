// Line icons on a grid of 24, one path each.
import { html } from "./dom.js";

const PATHS = {
  home: "M3 10.5 12 4l9 6.5V20H3z",
  project: "M4 20V4h9l1 2h6v10h-7l-1-2H6",
  data: "M4 6c0-4 16-4 16 0v12c0 4-16 4-16 0zM4 6c0 4 16 4 16 0M4 12c0 4 16 4 16 0",
  label: "M3 12V4h8l10 10-8 8zM7.5 8h.01",
  pipeline: "M9 6h9M6 9v9a3 3 0 0 0 3 3M18 15V6M6 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM18 15a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  experiment: "M9 3h6M10 3v6l-5.5 9.5A1.7 1.7 0 0 0 6 21h12a1.7 1.7 0 0 0 1.5-2.5L14 9V3M7.5 15h9",
  runs: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  model: "M12 3 4 7.5v9L12 21l8-4.5v-9zM4 7.5 12 12l8-4.5M12 12v9",
  gate: "M4 21V5M20 21V5M4 9h16M9 9v12M15 9v12M4 5l8-2 8 2",
  deploy: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  monitor: "M3 12h4l3-8 4 16 3-8h4",
  alert: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  policy: "M4 12a8 8 0 0 1 14-5.3L20 9M20 4v5h-5M20 12a8 8 0 0 1-14 5.3L4 15M4 20v-5h5",
  audit: "M5 3h10l4 4v14H5zM9 12h6M9 16h6",
  why: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M12 17h.01",
  lineage: "M5 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM19 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM19 15a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 11l8-4M8 13l8 4",
  job: "M4 6h10M8 12h12M4 18h8",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4v6M8 14v6",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  moon: "M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-8 16-8 16 0",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  more: "M5 12h.01M12 12h.01M19 12h.01",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
