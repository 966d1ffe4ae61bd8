// One model: the lives of its versions, champion against challenger, and everything about the version that is looked at.
import { html, Fragment } from "../core/dom.js";
import { post } from "../core/api.js";
import { number, signed } from "../core/format.js";
import { Action, Bound, Card, Chip, Empty, Facts, State, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { Lines } from "../core/charts/lines.js";
import { Timeline } from "../core/charts/timeline.js";
import { ModelCard } from "../registry/card.js";
import { Comments } from "../core/comments.js";
import { VersionActs, VersionTable } from "../registry/versions.js";
import { may as allowedTo } from "../tracking/about.js";
import { Compared, Evidence } from "../training/evidence.js";

const VERDICTS = { pass: ["ok", "passed"], fail: ["crit", "failed"], unknown: ["none", "unknown"] };
const SHOWN_CHIPS = 3;

const short = (id) => `v${id.split("@").at(-1)}`;

export default function ModelScreen({ params, query }) {
  const version = query.version ? `?version=${encodeURIComponent(query.version)}` : "";
  const view = useView(`/api/view/model/${encodeURIComponent(params.model)}${version}`);
  return html`<${Screen} title=${params.model} view=${view} crumbs=${[["Models", "/model"]]} note=${(data) => html`<${Chips} data=${data} />`} tools=${(data) => html`<${Tools} data=${data} reload=${view.reload} />`}>
    ${(data) => html`<${Body} data=${data} reload=${view.reload} />`}
  <//>`;
}

function Chips({ data }) {
  const place = data.places[0];
  const waiting = data.versions.filter((version) => version.gate === "waiting").slice(0, SHOWN_CHIPS);
  return html`<span class="row model-chips">
    ${place ? html`<${Chip} tone=${place.stopped ? "crit" : "ok"}>${place.stopped ? "stopped" : "champion"} ${short(place.champion)}<//>` : html`<${Chip}>not deployed<//>`}
    ${place?.challengers.map((id) => html`<${Chip} tone="info">${short(id)} in shadow<//>`)}
    ${waiting.map((version) => html`<${Chip} tone="warn">v${version.number} waits for a person<//>`)}
  </span>`;
}

function Tools({ data, reload }) {
  const version = data.versions.find((item) => item.id === data.selected);
  const at = `/api/model/version/${encodeURIComponent(version.id)}`;
  const decided = data.decisions.length > 0;
  const asked = data.approve_by ? `by ${data.approve_by}` : "";
  const act = (path, body, said) => async (reason) => {
    await post(path, { ...body, reason: reason || "" });
    reload();
    return said;
  };
  const no = (allowed) => (allowed ? undefined : "Your roles do not allow this");
  return html`
    <a class="button" href=${`${at}/card`} download>Model card</a>
    ${data.places.filter((place) => place.previous).map((place) => html`<${Action} label="Roll back" tone="" title=${no(data.may.deploy)} disabled=${!data.may.deploy} reason="Why" required=${true}
      confirm=${`Let ${place.previous} answer again in ${place.deployment} instead of ${place.champion}?`} run=${act(`/api/deploy/${encodeURIComponent(place.deployment)}/roll-back`, {}, `${place.previous} answers again`)} />`)}
    ${version.state === "barred" ? null : html`<${Action} label=${`Bar v${version.number}`} tone="crit" title=${no(data.may.deploy)} disabled=${!data.may.deploy} reason="Why" required=${true}
      confirm=${`Keep ${version.id} from ever being promoted again? This cannot be undone.`} run=${act(`${at}/bar`, {}, `${version.id} is barred`)} />`}
    ${decided || version.state === "barred" ? null : html`
      <${Action} label=${`Reject v${version.number}`} title=${no(data.may.decide)} disabled=${!data.may.decide} reason="Why" required=${true} confirm=${`Reject ${version.id} for good?`} run=${act(`${at}/decision`, { approve: false }, `${version.id} is rejected`)} />
      <${Action} label=${`Approve v${version.number}`} tone="primary" title=${no(data.may.decide) || (version.gate === "closed" ? version.reasons.join("; ") : undefined)} disabled=${!data.may.decide || version.gate === "closed"} reason="Comment, kept in the audit trail"
        confirm=${`Approve ${version.id}? It is asked for ${asked || "by nobody"}, and holds for exactly these files.`} run=${act(`${at}/decision`, { approve: true }, `${version.id} is approved`)} />`}`;
}

function Body({ data, reload }) {
  const name = short(data.selected);
  return html`<${Fragment}>
    <${Card} title="Versions" note=${`${data.versions.length} registered; choose one to look at it`}><${Timeline} lanes=${data.lanes} selected=${data.selected} label=${`Versions of ${data.model}`} /><${VersionTable} data=${data} /><//>
    <div class="cols">
      <div class="side">
        <${Production} production=${data.production} />
        <${Compared} report=${data.told.report} name=${data.selected} />
        <${Gates} data=${data} />
        <${Decisions} data=${data} />
        <${Comments} entity="version" id=${data.selected} may=${allowedTo("comment")} title=${`Comments on ${name}`} key=${data.selected} />
      </div>
      <aside class="side" aria-label=${`About ${name}`}><${VersionActs} data=${data} reload=${reload} key=${data.selected} /><${Lineage} data=${data} /></aside>
    </div>
    <${Evidence} told=${data.told} name=${name} />
    <${ModelCard} card=${data.card} />
  <//>`;
}

function Production({ production }) {
  if (!production.streams.length) return html`<${Card} title="In production"><${Empty} title="Nothing to draw yet" note=${production.reason} /><//>`;
  const x = [...new Set(production.streams.flatMap((stream) => stream.points.map((point) => point.start)))].sort((a, b) => a - b);
  const several = new Set(production.streams.map((stream) => stream.deployment)).size > 1;
  const guessed = production.streams.some((stream) => stream.points.some((point) => point.source === "estimated"));
  const series = production.streams.map((stream) => {
    const at = new Map(stream.points.map((point) => [point.start, point]));
    const read = (name) => x.map((start) => at.get(start)?.[name] ?? null);
    const label = `${short(stream.version)}, ${stream.variant === "champion" ? "champion" : stream.variant === "previous" ? "standing by" : "in shadow"}${several ? ` in ${stream.deployment}` : ""}`;
    return { label, values: read("value"), low: read("low"), high: read("high"), dash: stream.variant !== "champion" };
  });
  const note = `${production.metric} in each window, with 95 % intervals; ${guessed ? "realised where labels have come, else estimated from the scores" : "realised from labels"}`;
  return html`<${Card} title=${series.length > 1 ? "Champion against challenger" : "In production"} note=${note}>
    <${Lines} x=${x} time=${true} series=${series} height=${220} label=${`${production.metric} in production`} limit=${{ value: production.limit, label: production.at_least ? "at least" : "at most" }} /><//>`;
}

function Gates({ data }) {
  const required = data.checks.filter((check) => check.required);
  const passed = required.filter((check) => check.verdict === "pass").length;
  const version = data.versions.find((item) => item.id === data.selected);
  const tone = { open: "ok", waiting: "warn", closed: "crit" }[version.gate];
  return html`<${Card} flush title=${`Gate of ${short(data.selected)}`} tools=${html`<${Chip} tone=${tone}>${required.length ? `${passed} of ${required.length} pass` : "no check is asked for"}${version.gate === "waiting" ? ", waits for a person" : `, ${version.gate}`}<//> <a class="button small" href=${`/gate/${encodeURIComponent(data.selected)}`}>Delivery gates</a>`}>
    ${version.reasons.length ? html`<p class="none dim">${version.reasons.join("; ")}</p>` : null}
    <ul class="model-gates">
      ${data.checks.map((check) => html`<${CheckLine} check=${check} />`)}
      ${data.approve_by ? html`<${ApprovalLine} data=${data} />` : null}
    </ul>
  <//>`;
}

function CheckLine({ check }) {
  const [tone, word] = VERDICTS[check.verdict];
  const bounded = check.at_least !== null && check.limit !== null;
  const figure = check.value === null ? null : check.kind === "compare" ? signed(check.value) : number(check.value);
  const interval = check.low === null ? "" : ` (${number(check.low)} to ${number(check.high)})`;
  return html`<li class="model-gate">
    <${State} tone=${tone} word=${word} />
    <span class="two"><b>${check.name}</b><small>${check.kind}${check.required ? "" : ", not asked for"}</small></span>
    <span class="model-figure">${bounded ? html`<${Bound} limit=${check.limit} value=${check.value} low=${check.low} high=${check.high} atLeast=${check.at_least} tone=${tone === "none" ? undefined : tone} />` : null}<span>${figure}${figure ? html`<small class="faint">${interval}</small>` : null}</span></span>
    <span class="dim small model-detail">${check.detail}</span>
    <span class="faint small model-by">${check.by.length === 26 ? html`<a href=${`/runs/${check.by}`}>run ${check.by.slice(-8).toLowerCase()}</a><br />` : check.by ? html`${check.by}<br />` : null}<${Time} at=${check.time} /></span>
  </li>`;
}

function ApprovalLine({ data }) {
  const last = data.decisions.at(-1);
  const waits = data.versions.find((item) => item.id === data.selected).gate === "waiting";
  const [tone, word] = !last ? (waits ? ["warn", "waits"] : ["none", "not asked"]) : last.approved ? ["ok", "approved"] : ["crit", "rejected"];
  return html`<li class="model-gate">
    <${State} tone=${tone} word=${word} /><span class="two"><b>approval</b><small>by ${data.approve_by}</small></span><span class="model-figure"></span>
    <span class="dim small model-detail">${last ? `${last.approver}${last.solo ? ", alone: there was nobody else" : ""}: ${last.reason || "no reason given"}` : waits ? "nobody has decided yet" : "an approval cannot stand in for evidence"}</span>
    <span class="faint small model-by">${last ? html`<${Time} at=${last.time} />` : null}</span>
  </li>`;
}

const Decisions = ({ data }) => (data.decisions.length ? html`<${Card} title="Decisions"><ul class="model-decisions">${data.decisions.map((item) => html`<li>
  <${State} tone=${item.approved ? "ok" : "crit"} word=${item.approved ? "approved" : "rejected"} /> <b>${item.approver}</b> <span class="faint"><${Time} at=${item.time} />${item.solo ? ", alone" : ""}</span>
  <p class="dim">${item.reason || "No reason given."}</p></li>`)}</ul><//>` : null);

function Lineage({ data }) {
  const { origin, card } = data;
  const mono = (text) => html`<span class="mono" title=${text}>${text.slice(0, 12)}</span>`;
  return html`<${Card} title=${`Lineage of ${short(data.selected)}`}><${Facts} rows=${[
    ["Run", origin.run ? html`<a class="mono" href=${`/runs/${origin.run}`}>${origin.run.slice(-8).toLowerCase()}</a>` : null],
    ["Data", !origin.snapshot ? null : html`<a href=${`/data/snapshot/${origin.snapshot}`}>${card.data.dataset || "snapshot"} ${mono(origin.snapshot)}</a>`],
    ["Code", origin.commit ? html`${mono(origin.commit)}${origin.dirty ? " and changes" : ""}` : "no Git repository"],
    ["Pipeline", origin.flow ? html`<a class="mono" href=${`/pipeline/${origin.flow}`}>${origin.flow.slice(-8).toLowerCase()}</a>` : null],
    ["Environment", origin.environment ? html`Python ${origin.python}, ${mono(origin.environment)}` : null],
    ["Signature", card.inputs.length ? `${card.inputs.length} in, ${card.classes.length ? `${card.classes.length} classes` : "a number"} out` : null],
    ["Files", card.digest ? mono(card.digest) : null],
    ["Made by", card.created_by],
    ["Cause", origin.episode ? html`<a href=${`/policy/${origin.episode}`}>${origin.cause || "a retraining"}</a>` : "asked for by a person"],
    ["Project", html`<a href=${`/project/${encodeURIComponent(data.project)}`}>${data.project}</a>`],
  ]} /><//>`;
}
