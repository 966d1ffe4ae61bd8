// Where the page begins.
import { html, render } from "./dom.js";
import { Shell } from "./shell.js";

render(html`<${Shell} />`, document.getElementById("app"));
