// Keys, selection and live parts. Every page works without it.

const typing = (el) => el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) && el.type !== "checkbox";
const $ = (s, of = document) => of.querySelector(s);
const $$ = (s, of = document) => [...of.querySelectorAll(s)];

// ---- rows: a cursor, a selection ----
let at = -1;
let last = -1;
const rows = () => $$("main table.rows tbody tr");
function move(by) {
  const all = rows();
  if (!all.length) return;
  at = Math.max(0, Math.min(all.length - 1, at + by));
  all.forEach((r, i) => r.classList.toggle("cursor", i === at));
  all[at].scrollIntoView({ block: "nearest" });
  $("a.title", all[at])?.focus({ preventScroll: true });
}
function chosen() {
  const boxes = $$('[data-rows] input[name="id"]');
  const n = boxes.filter((b) => b.checked).length;
  boxes.forEach((b) => b.closest("tr").toggleAttribute("aria-selected", false) || b.closest("tr").setAttribute("aria-selected", b.checked));
  const say = $("[data-chosen]");
  if (say) say.textContent = n ? `${n} chosen` : "For the chosen";
  const all = $("[data-all]");
  if (all) all.checked = n > 0 && n === boxes.length;
}
function pick(range) {
  const all = rows();
  const box = all[at] && $('input[name="id"]', all[at]);
  if (!box) return;
  box.checked = !box.checked;
  if (range && last >= 0) {
    for (let i = Math.min(last, at); i <= Math.max(last, at); i++) {
      const b = $('input[name="id"]', all[i]);
      if (b) b.checked = box.checked;
    }
  }
  last = at;
  chosen();
}
document.addEventListener("change", (e) => {
  if (e.target.matches("[data-all]")) $$('[data-rows] input[name="id"]').forEach((b) => (b.checked = e.target.checked));
  if (e.target.matches('[data-all], [data-rows] input[name="id"]')) chosen();
  if (e.target.matches("[data-submits]")) e.target.form.requestSubmit();
});

// ---- drop-downs: one open at a time, Escape closes ----
document.addEventListener("toggle", (e) => {
  if (!e.target.matches("details.drop") || !e.target.open) return;
  $$("details.drop[open]").forEach((d) => d !== e.target && (d.open = false));
  $("input:not([type=hidden]), select, a, button", e.target)?.focus();
}, true);
document.addEventListener("click", (e) => {
  if (!e.target.closest("details.drop")) $$("details.drop[open]").forEach((d) => (d.open = false));
});

// ---- keys ----
const off = () => localStorage.getItem("keys") === "off";
let going = false;
function press(key, shift) {
  switch (key) {
    case "?": location.href = "/help"; return true;
    case "/": $("#q")?.focus(); return true;
    case "f": $("[data-filter]")?.focus(); return !!$("[data-filter]");
    case "j": move(1); return true;
    case "k": move(-1); return true;
    case "x": case "X": pick(shift); return true;
    case "n": { const a = $("[data-next]"); if (a) a.click(); return !!a; }
    case "u": { const b = $("[data-undo]"); if (b) b.click(); return !!b; }
    case "g": going = true; setTimeout(() => (going = false), 1500); return true;
  }
  const b = $$("main [data-key], .bulk [data-key]").find((x) => x.dataset.key === key);
  if (!b) return false;
  b.click();
  return true;
}
document.addEventListener("keydown", (e) => {
  if ((e.ctrlKey || e.metaKey) && e.key === "k") {
    e.preventDefault();
    $("#q")?.focus();
    return;
  }
  if (e.key === "Escape") {
    const open = $("details.drop[open]");
    if (open) {
      open.open = false;
      $("summary", open).focus();
    } else document.activeElement?.blur();
    return;
  }
  if (off() || e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
  if (going) {
    going = false;
    const a = $$("nav.side [data-key]").find((x) => x.dataset.key === e.key);
    if (a) {
      e.preventDefault();
      location.href = a.href;
    }
    return;
  }
  if (press(e.key, e.shiftKey)) e.preventDefault();
});
const keys = $("[data-keys-switch]");
if (keys) {
  keys.closest("[hidden]")?.removeAttribute("hidden");
  keys.checked = !off();
  keys.addEventListener("change", () => localStorage.setItem("keys", keys.checked ? "on" : "off"));
}

// ---- live parts: the page never moves under the hand of who works on it ----
const busy = () => $(":popover-open, #live details[open], #live input:checked:not([type=radio]), #live dialog[open]") || typing(document.activeElement) || document.hidden;
document.addEventListener("htmx:before:request", (e) => {
  if (e.target.closest?.("[data-live]") && busy()) e.preventDefault();
});
document.addEventListener("htmx:after:swap", () => {
  const all = rows();
  if (at >= 0 && all[at]) all[at].classList.add("cursor");
});

// ---- what is shown once is there to be copied ----
$$("[data-select]").forEach((i) => i.select());

// ---- dialogs ----
document.addEventListener("click", (e) => {
  const opener = e.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = e.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
});
