// Who looks at this page, what that allows, and the way out.
import { html, useEffect, useRef } from "../core/dom.js";
import { meet, remove, unauthorized, visitor } from "../core/api.js";
import { when } from "../core/format.js";
import { Action, Facts } from "../core/parts.js";

/** The first letters of a name's parts: `ada.lovelace` is AL. */
export const initials = (name) => (name.match(/[\p{L}\p{N}]+/gu) || ["?"]).slice(0, 2).map((part) => part[0].toUpperCase()).join("");

export function Who() {
  const box = useRef();
  const stranger = unauthorized.value;
  useEffect(() => {
    if (!stranger) meet().catch(() => {});
  }, [stranger]);
  useEffect(() => {
    const away = (event) => {
      const key = event.type === "keydown";
      if (!box.current?.open || (key ? event.key !== "Escape" : box.current.contains(event.target))) return;
      box.current.open = false;
      if (key) box.current.querySelector("summary").focus();
    };
    for (const kind of ["click", "keydown"]) addEventListener(kind, away);
    return () => ["click", "keydown"].forEach((kind) => removeEventListener(kind, away));
  }, []);
  const who = visitor.value;
  if (stranger || !who?.name) return null;
  const rows = [
    ["Roles", who.asked ? who.roles.join(", ") : "all"],
    ["Projects", who.projects.join(", ") || "all"],
    ["Session", who.session ? `until ${when(who.expires)} at the latest` : "none: this server asks for no log-in"],
  ];
  return html`<details class="auth-who" ref=${box}>
    <summary aria-label=${`You are ${who.name}`} title=${who.name}>${initials(who.name)}</summary>
    <div class="auth-menu">
      <b>${who.name}</b>
      <${Facts} rows=${rows} />
      ${who.session ? html`<${Action} label="Log out" run=${logOut} />` : null}
    </div>
  </details>`;
}

async function logOut() {
  await remove("/api/session");
  location.reload(); // nothing that was seen stays in memory
}
