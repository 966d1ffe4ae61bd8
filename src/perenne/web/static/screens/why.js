// Which prediction to explain: by its id, or one of the newest.
import { html, useState } from "../core/dom.js";
import { Card, Empty, Table, Time } from "../core/parts.js";
import { go } from "../core/router.js";
import { Screen, useView } from "../core/screen.js";
import { number } from "../core/format.js";

export default function WhyStartScreen({ query }) {
  const view = useView(`/api/view/why?${new URLSearchParams({ deployment: query.deployment || "" })}`);
  return html`<${Screen} title="Why" note="where an answer came from, and what it rests on" view=${view}>
    ${(data) => html`<${Ask} /><${Offers} data=${data} query=${query} />`}
  <//>`;
}

function Ask() {
  const [text, setText] = useState("");
  const send = (event) => {
    event.preventDefault();
    if (text.trim()) go(`/why/${encodeURIComponent(text.trim())}`);
  };
  return html`<${Card} title="A prediction">
    <form class="why-ask" onSubmit=${send}>
      <input class="field" aria-label="Prediction id" placeholder="Paste a prediction id" value=${text} onInput=${(event) => setText(event.target.value)} />
      <button class="button primary" disabled=${!text.trim()}>Explain</button>
    </form>
    <p class="dim small">Every answer carries its id: <code>x-request-id</code> and the row's number, as in <code>01J…-0</code>.</p>
  <//>`;
}

function Offers({ data, query }) {
  if (!data.deployments) return html`<${Card} title="Newest predictions"><${Empty} title="Nothing is deployed yet" note="Predictions appear here as soon as a model answers." command="perenne run" /><//>`;
  return html`${data.deployments > data.offers.length || query.deployment ? html`<p class="dim">${query.deployment ? html`Only ${query.deployment}. <a href="/why">All deployments</a>` : `The first ${data.offers.length} of ${data.deployments} deployments.`}</p>` : null}
    ${data.offers.map((offer) => html`<${Card} key=${offer.deployment} flush=${true} title=${offer.deployment} note="newest predictions in the log" tools=${html`<a class="small" href=${`/deploy/${encodeURIComponent(offer.deployment)}`}>deployment</a>`}>
      <${Table} dense=${true} label=${`newest predictions of ${offer.deployment}`} rows=${offer.newest} rowKey=${(row) => row.id} rowHref=${(row) => `/why/${row.id}`} empty=${html`<p class="why-none dim">Nothing has been answered yet, or the log lies elsewhere.</p>`}
        columns=${[
          { key: "id", title: "prediction", cell: (row) => html`<code class="why-id">${row.id}</code>` },
          { key: "arrived", title: "answered", cell: (row) => html`<span class="why-id"><${Time} at=${row.arrived} /></span>` },
          { key: "answer", cell: (row) => (row.answer === null ? html`<span class="faint">no answer</span>` : number(row.answer)) },
          { key: "score", num: true, cell: (row) => number(row.score) },
          { key: "version" },
        ]} />
    <//>`)}`;
}
