// Settings: who may come in, what runs, and what this installation is.
import { html, useRef, useState } from "../core/dom.js";
import { post } from "../core/api.js";
import { day, duration, number, plural } from "../core/format.js";
import { Action, Card, Chip, Copy, Empty, Facts, State, Table, Tabs, Time } from "../core/parts.js";
import { Screen, useView } from "../core/screen.js";
import { toast } from "../core/toast.js";

const TABS = [["tokens", "Tokens"], ["processes", "Processes"], ["about", "About"]];

export default function SettingsScreen({ query }) {
  const tab = query.tab || "tokens";
  const view = useView(`/api/view/settings?tab=${encodeURIComponent(tab)}`);
  return html`<${Screen} title="Settings" view=${view}>
    ${(data) => html`<${Tabs} name="tab" value=${tab} options=${TABS} label="Settings" />
      ${data.tokens ? html`<${Tokens} tab=${data.tokens} reload=${view.reload} />` : null}
      ${data.processes ? html`<${Processes} rows=${data.processes} />` : null}
      ${data.about ? html`<${About} about=${data.about} />` : null}`}
  <//>`;
}

const STATES = { valid: "ok", expired: "none", revoked: "none" };

function Tokens({ tab, reload }) {
  const [made, setMade] = useState(null);
  const show = (answer) => {
    setMade(answer);
    reload();
  };
  const columns = [
    { title: "name", cell: (row) => html`<b>${row.name}</b><div class="faint small">${row.id}</div>` },
    { title: "stands for", cell: (row) => html`${row.person}${row.made_by === row.person ? null : html`<div class="faint small">made by ${row.made_by}</div>`}` },
    { title: "may", cell: (row) => html`${row.roles.join(", ")}<div class="faint small">${row.projects.length ? `in ${row.projects.join(", ")}` : "everywhere"}</div>` },
    { title: "state", cell: (row) => html`<${State} tone=${STATES[row.state]} word=${row.state} />` },
    { title: "until", num: true, cell: (row) => html`${day(row.expires)}${row.two_until ? html`<div class="faint small">two secrets until ${day(row.two_until)}</div>` : null}` },
    { title: "last used", num: true, cell: (row) => (row.last_used ? html`<${Time} at=${row.last_used} />` : "never") },
    { title: "", cell: (row) => (row.state === "valid" ? html`<${Change} row=${row} show=${show} reload=${reload} />` : null) },
  ];
  const none = html`<${Empty} title="No token yet" note="On this machine nobody needs one. Others do, and programs on other machines." command="perenne token create laptop --role viewer --person YOU" />`;
  return html`${made ? html`<${Secret} made=${made} close=${() => setMade(null)} />` : null}
    <${Card} title="Tokens" note=${tab.others ? plural(tab.rows.length, "token") : `${plural(tab.rows.length, "token")} of yours`} flush>
      <${Table} label="Tokens" columns=${columns} rows=${tab.rows} rowKey=${(row) => row.id} empty=${none} />
    <//>
    <${NewToken} tab=${tab} show=${show} />`;
}

function Change({ row, show, reload }) {
  const rotate = async () => show(await post(`/api/token/${row.id}/rotate`, {}));
  const revoke = async (reason) => {
    await post(`/api/token/${row.id}/revoke`, { reason });
    reload();
    return `${row.name} counts no more`;
  };
  return html`<span class="row end screens-actions">
    <${Action} label="Rotate" small run=${rotate} confirm=${`Give ${row.name} a new secret? The present one counts for a day still; sessions opened with it end now.`} />
    <${Action} label="Revoke" small tone="crit" run=${revoke} confirm=${`End ${row.name} at once, on every server?`} reason="Why" />
  </span>`;
}

/** The only time a secret is seen. */
function Secret({ made, close }) {
  return html`<section class="card screens-secret" role="status" aria-label="The new secret">
    <div class="content">
      <b>The secret of ${made.token.name}. It is shown this once.</b>
      <${Copy} text=${made.text} />
      <p class="dim">It counts until ${day(made.token.expires)}. Send it as <code>Authorization: Bearer …</code>, or log in with it here.</p>
      <div class="row"><button class="button" onClick=${close}>I have kept it</button></div>
    </div>
  </section>`;
}

const LENGTHS = [["", "as usual (90 days, services 365)"], ["1d", "1 day"], ["7d", "7 days"], ["30d", "30 days"], ["365d", "365 days"]];
const list = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function NewToken({ tab, show }) {
  const form = useRef();
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(false);
  const create = async (event) => {
    event.preventDefault();
    const fields = new FormData(form.current);
    const body = { name: fields.get("name").trim(), roles: fields.getAll("role"), projects: list(fields.get("projects")), service: fields.has("service") };
    if (fields.get("person")?.trim()) body.person = fields.get("person").trim();
    if (fields.get("lifetime")) body.lifetime = fields.get("lifetime");
    setBusy(true);
    try {
      show(await post("/api/token", body));
      form.current.reset();
      setTrouble(null);
      toast("Made");
    } catch (error) {
      setTrouble(error);
    }
    setBusy(false);
  };
  return html`<${Card} title="New token" note="it never allows more than you may">
    <form class="screens-form" ref=${form} onSubmit=${create}>
      <label>Name<input class="field" name="name" required maxlength="100" placeholder="laptop" autocomplete="off" /></label>
      <fieldset><legend>May</legend>${tab.roles.map((role) => html`<label class="screens-check"><input type="checkbox" name="role" value=${role} />${role}</label>`)}</fieldset>
      <label>Projects<input class="field" name="projects" defaultValue=${tab.projects.join(", ")} placeholder="everywhere; or names with commas between" autocomplete="off" /></label>
      <label>Counts for<select class="field" name="lifetime">${LENGTHS.map(([value, title]) => html`<option value=${value}>${title}</option>`)}</select></label>
      ${tab.others
        ? html`<label>Stands for<input class="field" name="person" placeholder="you; or another person's name" autocomplete="off" /></label>
          <label class="screens-check"><input type="checkbox" name="service" />a service: it may never approve, and has no session</label>`
        : null}
      ${trouble ? html`<p class="screens-trouble" role="alert"><i class="dot crit"></i><span>${trouble.message}${trouble.hint ? `: ${trouble.hint}` : ""}</span></p>` : null}
      <div class="row"><button class="button primary" disabled=${busy} aria-busy=${busy}>Make it</button></div>
    </form>
  <//>`;
}

const ALIVE = { alive: "ok", silent: "crit", gone: "none", unknown: "warn" };
const told = (row) => (row.problem ? "crit" : ALIVE[row.state] || "none");

function Processes({ rows }) {
  const columns = [
    { title: "process", cell: (row) => html`<b>${row.name}</b><div class="faint small">${row.host}, process ${row.pid}</div>` },
    { title: "state", cell: (row) => html`<${State} tone=${told(row)} word=${row.problem ? "not well" : row.state} />${row.problem ? html`<div class="small">${row.problem}</div>` : null}` },
    { title: "answers on", cell: (row) => row.address || "–" },
    { title: "version", cell: (row) => row.version },
    { title: "since", num: true, cell: (row) => (row.started ? html`<${Time} at=${row.started} />` : "–") },
    { title: "last sign", num: true, cell: (row) => html`<${Time} at=${row.beat} />` },
  ];
  const none = html`<${Empty} title="No process gives a sign of life" note="Control planes, workers and model servers of this installation keep one." command="perenne up" />`;
  const bad = rows.filter((row) => row.problem).length;
  return html`<${Card} title="Processes" note=${bad ? `${bad} not well` : "by their signs of life, and what those that can be asked say"} flush>
    <${Table} label="Processes" columns=${columns} rows=${rows} rowKey=${(row) => row.name + row.pid} empty=${none} />
  <//>`;
}

function About({ about }) {
  const rows = [
    ["perenne", about.version],
    ["Python", `${about.python}, ${about.system}`],
    ["Database", `${about.database}, schema ${about.schema}`],
    ["", about.database_place],
    ["Objects", about.objects_place || about.objects],
    ["Steps run", about.executor],
    ["Folder", about.home],
    ["Log-in", about.asks ? "this server asks for a token or a session" : "this server asks for none: it listens on this machine only"],
  ];
  return html`<div class="half">
    <${Card} title="This installation"><${Facts} rows=${rows.filter(([, value]) => value)} /><//>
    <${Card} title="How long things are kept" note="after their end">
      <${Facts} rows=${[...about.kept.map((item) => [item.what, duration(item.length)]), ["the audit trail", "for ever"]]} />
    <//>
    <${Card} title="What others wrote" note=${`${number(about.vendored.length)} packages, brought along as they are`} flush>
      <${Table} label="Packages of others" dense columns=${[{ key: "package", title: "package" }, { key: "version", title: "version" }, { key: "licence", title: "licence", cell: (row) => html`<${Chip}>${row.licence}<//>` }]} rows=${about.vendored} />
    <//>
  </div>`;
}
