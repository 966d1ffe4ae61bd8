// What people differ on: somebody decides, seeing who said what and why.
import { html, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { Card, Empty, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { plural } from "../core/format.js";
import { toast } from "../core/toast.js";
import { classOf, useKeys } from "./answers.js";
import { Item, Klass, hrefOf, said } from "./words.js";

export default function DecideScreen({ params }) {
  const at = encodeURIComponent(params.set);
  const view = useView(`/api/view/label/${at}/decide`);
  return html`<${Screen} title=${`Decide: ${params.set}`} crumbs=${[["Labels", "/label"], [params.set, hrefOf(params.set)]]} view=${view} note=${(data) => plural(data.total, "item")}>
    ${(data) => html`<${Decide} data=${data} at=${`/api/label/${at}`} reload=${view.reload} />`}
  <//>`;
}

function Decide({ data, at, reload }) {
  const [gone, setGone] = useState(() => new Set());
  const left = data.disputes.filter((each) => !gone.has(each.item));
  const { definition } = data;
  const decide = async (item, value) => {
    setGone((now) => new Set([...now, item]));
    try {
      await post(`${at}/decisions`, { labels: [{ item, value }] });
      toast(`Decided: ${said(value)}`);
      if (left.length < 4) reload();
    } catch (error) {
      setGone((now) => new Set([...now].filter((each) => each !== item)));
      toast(error.message + (error.hint ? ` (${error.hint})` : ""), "crit");
    }
  };
  const single = ["binary", "multiclass"].includes(definition.kind);
  useKeys((event) => {
    const found = single && left.length ? classOf(definition.classes, event) : undefined;
    if (found && !event.repeat) decide(left[0].item, found.name);
    return Boolean(found);
  });
  if (!left.length) return html`<${Card}><${Empty} title="Nobody differs" note="Items on which people differ come here." /><a class="button" href=${hrefOf(data.name)}>Back to ${data.name}</a><//>`;
  return html`${left.map((each, place) => html`<${Card} key=${each.item} className=${`label-dispute${place ? "" : " label-first"}`}>
    <div class="label-work">
      <${Item} item=${each} definition=${definition} />
      <div class="stack">
        <ul class="label-opinions">${each.opinions.map((one) => html`<li><b>${one.labeller}</b> says <b>${said(JSON.parse(one.value))}</b> <span class="faint small"><${Time} at=${one.time} /></span>${one.note ? html`<p class="dim">${one.note}</p>` : null}
          ${single ? null : html`<button class="button small" onClick=${() => decide(each.item, JSON.parse(one.value))}>Take this</button>`}</li>`)}</ul>
        ${single ? html`<div class="label-choices" role="group" aria-label=${`Decide item ${place + 1}`}>${definition.classes.map((item) => html`<button class="label-choice" aria-keyshortcuts=${place ? undefined : item.key || undefined} onClick=${() => decide(each.item, item.name)}>${place ? null : html`<kbd>${item.key || " "}</kbd>`}<${Klass} item=${item} /></button>`)}</div>` : null}
      </div>
    </div>
  <//>`)}`;
}
