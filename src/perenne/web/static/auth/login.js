// The log-in: a token, shown once, becomes a session that this browser keeps and no script reads.
import { html, useEffect, useRef, useState } from "../core/dom.js";
import { forget, post, unauthorized, visitor } from "../core/api.js";
import { listen } from "../core/live.js";
import { Copy } from "../core/parts.js";
import { crumbs } from "../core/screen.js";

export default function Login() {
  const field = useRef();
  const [trouble, setTrouble] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Log in · perenne";
    crumbs.value = [["Log in", null]];
    field.current.focus();
  }, []);
  const logIn = async (event) => {
    event.preventDefault();
    const token = field.current.value.trim();
    if (!token) return field.current.focus();
    setBusy(true);
    try {
      visitor.value = await post("/api/session", { token });
      forget();
      unauthorized.value = false;
      listen();
    } catch (error) {
      setTrouble(error);
      setBusy(false);
      field.current.select();
    }
  };
  return html`<section class="card auth-login" aria-labelledby="auth-title">
    <form onSubmit=${logIn}>
      <h1 id="auth-title">Log in</h1>
      <p class="dim">Show a token of yours. It is sent once, and kept nowhere in this browser.</p>
      <label for="auth-token">Token</label>
      <input class="field" id="auth-token" ref=${field} type="password" autocomplete="current-password" spellcheck="false"
        placeholder="prn_…" aria-describedby=${trouble ? "auth-trouble" : undefined} aria-invalid=${trouble ? "true" : undefined} />
      ${trouble ? html`<p id="auth-trouble" class="auth-trouble" role="alert"><i class="dot crit"></i><span>${trouble.message}${trouble.hint ? `: ${trouble.hint}` : ""}</span></p>` : null}
      <div class="row"><button class="button primary" disabled=${busy} aria-busy=${busy}>Log in</button></div>
    </form>
    <footer class="dim small">
      <p>Who looks after this installation makes one for you:</p>
      <${Copy} text="perenne token create laptop --role viewer --person YOU" />
      <p>A session ends after 12 hours, after an hour without use, and with its token.</p>
    </footer>
  </section>`;
}
