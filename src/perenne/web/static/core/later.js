// A part of the page whose module is loaded when it is first shown.
import { html, useEffect, useState } from "./dom.js";
import { Empty } from "./parts.js";

const loaded = new Map();

/** Draw the default export of the module that `load()` brings, with all that is given. */
export function Later({ load, ...given }) {
  const [Drawn, setDrawn] = useState(() => loaded.get(load) || null);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (Drawn) return;
    load().then(
      (module) => {
        loaded.set(load, module.default);
        setDrawn(() => module.default);
      },
      (trouble) => setError(trouble),
    );
  }, []);
  if (error) return html`<section class="card"><${Empty} title="This screen could not be loaded" note=${error.message} hint="reload the page: perenne may have been updated" /></section>`;
  return Drawn ? html`<${Drawn} ...${given} />` : null;
}
