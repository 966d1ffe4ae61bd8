// What a person may change about a deployment, each with a question and a reason.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { Action } from "../core/parts.js";

const WHY = "Why (kept in the audit trail)";

/** The buttons of a deployment: roll back, stop or resume. */
export function Changes({ deployment, reload }) {
  if (!deployment.may_change) return null;
  const { name, variants, stop, answer } = deployment;
  const champion = variants.find((variant) => variant.role === "champion");
  const previous = variants.find((variant) => variant.role === "previous");
  const change = changing(name, reload);
  if (stop) return html`<${Action} tone="primary" label="Resume" confirm=${`Let ${champion.version} answer again?`} reason=${WHY} run=${(reason) => change("resume", { reason }, `${champion.version} answers again`)} />
    ${previous ? html`<${RollBack} champion=${champion} previous=${previous} change=${change} />` : null}`;
  return html`
    ${previous ? html`<${RollBack} champion=${champion} previous=${previous} change=${change} />` : null}
    ${previous ? html`<${Action} tone="crit" label="Stop" title=${`${previous.version} answers meanwhile`} confirm=${`Stop ${champion.version} at once? ${previous.version} answers meanwhile, marked as such.`} reason=${WHY} required run=${(reason) => change("stop", { mode: "previous", reason }, `Stopped: ${previous.version} answers`)} />` : null}
    ${!previous && answer !== null ? html`<${Action} tone="crit" label="Stop" title=${`the constant ${answer} is answered meanwhile`} confirm=${`Stop ${champion.version} at once? The constant ${JSON.stringify(answer)} is answered meanwhile, marked as such.`} reason=${WHY} required run=${(reason) => change("stop", { mode: "constant", reason }, `Stopped: ${JSON.stringify(answer)} is answered`)} />` : null}
    ${!previous && answer === null ? html`<${Action} tone="crit" label="Stop" disabled title="There is neither a previous version nor a constant answer to fall back to" run=${() => null} />` : null}`;
}

const RollBack = ({ champion, previous, change }) => html`<${Action} label="Roll back" confirm=${`Let ${previous.version} answer again? ${champion.version} leaves the deployment.`} reason=${WHY} required run=${(reason) => change("roll-back", { reason }, `${previous.version} answers again`)} />`;

/** Post a change of a deployment, look again, and say what was done. */
export const changing = (name, reload) => async (what, body, said) => {
  await post(`/api/deploy/${encodeURIComponent(name)}/${what}`, body);
  reload();
  return said;
};
