// What lasts beside the alerts: silences, and the channels on which people are told.
import { html } from "../core/dom.js";
import { post } from "../core/api.js";
import { count, duration, when } from "../core/format.js";
import { Action, Card, Table } from "../core/parts.js";
import { toast } from "../core/toast.js";

/** The silences that last, each with its end in place. */
export function Silences({ rows, may, reload }) {
  const end = (row) => async (reason) => {
    await post(`/api/alert/silences/${row.id}/end`, { reason: reason || "" });
    reload();
    return "The silence has ended: people are told again";
  };
  const columns = [
    { title: "nobody is told of", cell: (row) => html`<span class="two">${matched(row)}<small>${row.reason}</small></span>` },
    { title: "until", cell: (row) => when(row.until) },
    { title: "by", key: "owner" },
    ...(may ? [{ title: "", cell: (row) => html`<${Action} small tone="quiet" label="End" run=${end(row)} confirm=${`People are told again of ${matched(row)}.`} reason="Why (kept in the audit trail)" />` }] : []),
  ];
  return html`<${Card} flush title="Silences" note=${rows.length ? count(rows.length) : ""}><${Table} label="Silences" columns=${columns} rows=${rows} rowKey=${(row) => row.id} empty="Nothing is silent." /><//>`;
}

const matched = (row) => [row.rule, row.deployment ? `of ${row.deployment}` : "", ...row.matchers.map((item) => `${item.label}${item.sign}${item.value}`)].filter(Boolean).join(" ");

/** The channels, without their secrets; an administrator can try one. */
export function Channels({ rows, may }) {
  const test = (row) => async () => {
    const tried = await post(`/api/alert/channels/${encodeURIComponent(row.name)}/test`, {});
    if (!tried.taken) toast(`${row.name}: ${tried.error}`, "crit");
    return tried.taken ? `${row.name} took an example` : "";
  };
  const columns = [
    { title: "channel", cell: (row) => html`<span class="two"><b>${row.name}</b><small class="monitoring-cause">${row.target}</small></span>` },
    { title: "hears of", cell: (row) => hears(row.options) },
    { title: "then", cell: (row) => html`<span class="monitoring-cause">${more(row.options)}</span>` },
    ...(may ? [{ title: "", cell: (row) => html`<${Action} small tone="quiet" label="Test" run=${test(row)} title="Send an example now" />` }] : []),
  ];
  return html`<${Card} flush title="Channels" note="perenne alert channel add"><${Table} label="Channels" columns=${columns} rows=${rows} rowKey=${(row) => row.name} /><//>`;
}

function hears(options) {
  const what = options.escalations_only ? "what nobody acknowledged" : options.at_least && options.at_least !== "info" ? `${options.at_least} and above` : "everything";
  return `${what}${options.projects?.length ? ` of ${options.projects.join(", ")}` : ""}`;
}

function more(options) {
  return [
    options.escalate_to ? `${options.escalate_to} after ${duration(options.escalate_after)}` : "",
    options.quiet ? `quiet ${options.quiet} ${options.zone || "UTC"}` : "",
    options.digest ? `${options.digest} digest at ${options.digest_at || "08:00"}` : "",
  ].filter(Boolean).join("; ");
}
