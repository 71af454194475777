"use strict";
(() => {
  const VIEWS = ["overview", "failures", "imports", "customers", "changes"];
  const CONDITIONS = [["failing", "Failing"], ["paused", "Paused"], ["waiting", "Waiting"], ["syncing", "Syncing"], ["in_sync", "In sync"]];
  const KINDS = {
    "association-anywhere": "Association Anywhere", "business-catalyst": "Business Catalyst", "connector": "InTouch Connector",
    "batch-import": "Batch import", "customers-batch": "Customers batch", "webhook": "Webhook",
  };
  // Milliseconds: between two looks at the connections, if there are few and if there are many, and after errors.
  const OFTEN = 5_000, SELDOM = 15_000, MANY = 20, LONGEST = 120_000;
  const HOUR = 3_600_000;
  const MOST_CHANGES = 100;

  // The token is kept in this variable alone.
  let token = null;
  let mayOperate = false;
  let status = null;
  let view = "overview";
  let shownConditions = new Set();
  const rows = new Map();
  const histories = new Map();

  // --- the document --------------------------------------------------------------------------------------------------

  const $ = (id) => document.getElementById(id);

  function make(tag, properties = {}, ...children) {
    const svg = ["svg", "rect", "line", "title"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  }

  function fill(node, ...children) {
    node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  }

  // Writes only what is another: so that nothing is read out, or drawn, for nothing.
  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function announce(text) {
    $("announcement").textContent = "";
    // A moment later, so that the same words are read out again.
    setTimeout(() => { $("announcement").textContent = text; }, 50);
  }

  const number = (value) => value.toLocaleString("en");
  const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many || `${one}s`}`;

  function ago(seconds) {
    if (seconds < 90) return `${seconds} s ago`;
    if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h ago`;
    return `${number(Math.round(seconds / 86400))} days ago`;
  }

  const since = (time) => Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
  const local = (time) => new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
  const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
  const when = (time) => make("time", { datetime: time, title: time }, local(time));

  // --- the API -------------------------------------------------------------------------------------------------------

  class Refused extends Error {
    constructor(status, detail, retryAfter) {
      super(detail);
      this.status = status;
      this.retryAfter = retryAfter;
    }
  }

  // Of whoever is signed in: what was asked before is of no use to who signs in next, and never comes to its end.
  let session = new AbortController();

  function ofSession(asked, answer) {
    return asked === session ? answer : new Promise(() => {});
  }

  async function ask(method, path, body, signal) {
    const asked = session;
    try {
      return await ofSession(asked, await request(method, path, body, signal ? AbortSignal.any([signal, asked.signal]) : asked.signal));
    } catch (error) {
      await ofSession(asked);
      throw error;
    }
  }

  async function request(method, path, body, signal) {
    const mine = session;
    const headers = { Authorization: `Bearer ${token}`, Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const asked = { method, headers, signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" };
    const answer = await fetch(path, body === undefined ? asked : { ...asked, body: JSON.stringify(body) });
    if (answer.ok) return answer.json();
    let detail = `the API answered with HTTP ${answer.status}`;
    try {
      const problem = await answer.json();
      detail = problem.detail || problem.message || detail;
    } catch { /* No problem document. */ }
    const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
    if (mine === session) {
      if (answer.status === 401 && status) signOut("The token is not valid any more.");
      if (answer.status === 403) setOperates(false);
    }
    throw new Refused(answer.status, detail, retryAfter);
  }

  const why = (error) => error instanceof Refused ? error.message : "the API can't be reached";

  function setOperates(may) {
    mayOperate = may;
    document.querySelectorAll(".operates").forEach((node) => { if (!may) node.hidden = true; });
  }

  // --- signing in and out --------------------------------------------------------------------------------------------

  $("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter || $("sign-in").querySelector("button");
    token = $("token").value.trim();
    $("token-error").textContent = "";
    button.disabled = true;
    try {
      // What no header can hold is no token.
      if (!/^[\x21-\x7e]+$/.test(token)) throw new Refused(401, "", 0);
      show(await ask("GET", "/v1/connections?history=true"));
      historyHour = Math.floor(Date.now() / HOUR);
      $("token").value = "";
      $("view-sign-in").hidden = true;
      $("views").hidden = $("sign-out").hidden = false;
      goTo(location.hash.slice(1));
      $("main").focus({ preventScroll: true });
      schedule(pause());
    } catch (error) {
      token = null;
      $("token-error").textContent = error.status === 401 ? "No reader has this token." : `Not signed in: ${why(error)}.`;
      $("token").focus();
    } finally {
      button.disabled = false;
    }
  });

  function signOut(reason) {
    token = status = null;
    session.abort();
    session = new AbortController();
    searching = null;
    looking = $("more-failures").disabled = false;
    clearTimeout(timer);
    unfollow();
    if ($("dialog").open) $("dialog").close();
    rows.clear();
    histories.clear();
    for (const id of ["connections", "destinations", "failures", "imports", "changes", "found", "customer"]) fill($(id));
    for (const id of ["failures-of", "imports-of", "conditions"]) fill($(id));
    for (const view of VIEWS) $(`view-${view}`).hidden = true;
    for (const id of ["who", "search-note", "failures-note", "imports-note", "announcement"]) $(id).textContent = "";
    failures = imports = null;
    $("query").value = $("filter").value = "";
    shownConditions.clear();
    $("customer").hidden = $("views").hidden = $("sign-out").hidden = true;
    $("trouble").hidden = true;
    document.title = "customer-sync status";
    $("view-sign-in").hidden = false;
    $("token-error").textContent = reason || "";
    $("token").focus();
  }

  $("sign-out").addEventListener("click", () => signOut(""));

  // --- views ---------------------------------------------------------------------------------------------------------

  addEventListener("hashchange", () => {
    if (!status) return;
    goTo(location.hash.slice(1));
    $("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  });

  function goTo(name) {
    view = VIEWS.includes(name) ? name : "overview";
    for (const one of VIEWS) $(`view-${one}`).hidden = one !== view;
    for (const link of $("views").querySelectorAll("a")) {
      if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (view === "failures") openFailures();
    if (view === "imports") openImports();
    if (view === "changes") follow();
    else unfollow();
  }

  function open(name) {
    if (location.hash === `#${name}`) goTo(name);
    else location.hash = name;
  }

  // --- looking again -------------------------------------------------------------------------------------------------

  let timer = 0, attempts = 0, looking = false, historyHour = 0, dueAt = 0;

  const pause = () => status && status.connections.length + status.destinations.length > MANY ? SELDOM : OFTEN;

  function schedule(milliseconds) {
    clearTimeout(timer);
    dueAt = Date.now() + milliseconds;
    timer = setTimeout(look, milliseconds);
  }

  async function look() {
    // A page that nobody sees asks nothing.
    if (!token || looking || document.hidden) return;
    looking = true;
    const asked = token;
    try {
      const hour = Math.floor(Date.now() / HOUR);
      // A minute into the hour, its snapshots are there.
      const isNew = hour !== historyHour && Date.now() % HOUR > 90_000;
      const answer = await ask("GET", isNew ? "/v1/connections?history=true" : "/v1/connections");
      if (asked !== token) return;
      if (isNew) historyHour = hour;
      attempts = 0;
      $("trouble").hidden = true;
      show(answer);
      schedule(pause());
    } catch (error) {
      if (asked !== token) return;
      attempts += 1;
      const backoff = Math.min(LONGEST, pause() * 2 ** attempts) * (0.75 + Math.random() / 2);
      const wait = Math.max((error.retryAfter || 0) * 1000, backoff);
      write($("trouble"), `What you see is of ${clock(seenAt)}: ${why(error)}. The page tries again.`);
      $("trouble").hidden = false;
      schedule(wait);
    } finally {
      looking = false;
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!token) return;
    if (document.hidden) {
      clearTimeout(timer);
      unfollow();
    } else {
      schedule(Math.max(0, dueAt - Date.now()));
      if (view === "changes") follow();
    }
  });

  // --- overview ------------------------------------------------------------------------------------------------------

  let seenAt = Date.now();

  function show(answer) {
    const before = status;
    status = answer;
    seenAt = Date.now();
    setOperates(answer.scope === "operate");
    for (const [list, kind] of [["connections", "connection"], ["destinations", "destination"]]) {
      for (const system of answer[list]) {
        system.isDestination = kind === "destination";
        if (system.history) histories.set(system.id, system.history);
      }
    }
    write($("who"), `${answer.tenant} · ${clock(seenAt)}`);
    const all = [...answer.connections, ...answer.destinations];
    const failing = all.filter((system) => system.condition === "failing");
    const failed = all.reduce((sum, system) => sum + system.failures, 0);
    const headline = headlineOf(all, failing, failed);
    write($("overview-title"), headline);
    document.title = failing.length ? `(${failing.length} failing) customer-sync status` : "customer-sync status";
    write($("failures-count"), failed > 9_999 ? "9,999+" : number(failed));
    $("failures-count").hidden = failed === 0;
    showConditions(all);
    showSystems();
    if (before) tell(before, all);
    if (view === "failures") showFailureChoices();
    if (view === "failures") lookAtFailuresAgain();
  }

  function headlineOf(all, failing, failed) {
    if (!all.length) return "Nothing is configured yet";
    if (failing.length) return `${failing.length} of ${all.length} failing`;
    const syncing = all.filter((system) => system.condition === "syncing" || system.condition === "waiting").length;
    const paused = all.filter((system) => system.condition === "paused").length;
    const rest = failed ? `, ${plural(failed, "failure")}` : "";
    if (syncing) return `${syncing} of ${all.length} syncing${rest}`;
    return paused ? `${all.length - paused} in sync, ${paused} paused${rest}` : `Everything is in sync${rest ? ` but ${plural(failed, "failure")}` : ""}`;
  }

  // Says aloud only what begins or ceases to fail.
  function tell(before, all) {
    const known = new Map([...before.connections, ...before.destinations].map((system) => [system.id, system.condition]));
    const began = all.filter((system) => system.condition === "failing" && known.get(system.id) !== "failing");
    const ceased = all.filter((system) => system.condition !== "failing" && known.get(system.id) === "failing");
    const names = (systems) => systems.length > 3 ? `${systems.length} systems` : systems.map((system) => system.id).join(", ");
    const words = [began.length && `${names(began)} failing`, ceased.length && `${names(ceased)} not failing any more`];
    if (began.length || ceased.length) announce(words.filter(Boolean).join("; "));
  }

  function showConditions(all) {
    const group = $("conditions");
    for (const [condition, name] of CONDITIONS) {
      const count = all.filter((system) => system.condition === condition).length;
      let chip = group.querySelector(`[data-condition="${condition}"]`);
      if (!chip) {
        chip = make("button", {
          type: "button", "data-condition": condition, class: condition, "aria-pressed": "false",
          onclick: () => {
            if (!shownConditions.delete(condition)) shownConditions.add(condition);
            chip.setAttribute("aria-pressed", String(shownConditions.has(condition)));
            showSystems();
          },
        }, make("span", { class: "dot" }), make("span", { class: "name" }));
        group.append(chip);
      }
      write(chip.lastChild, `${name} ${count}`);
      chip.hidden = count === 0 && !shownConditions.has(condition);
    }
  }

  const kindOf = (system) => KINDS[system.kind] || "unknown kind";

  function showSystems() {
    const words = $("filter").value.trim().toLowerCase();
    // What fails comes first, then what has failures. What goes in and out of sync stays at its place.
    const rank = (system) => system.condition === "failing" ? 0 : system.failures > 0 ? 1 : system.condition === "paused" ? 2 : 3;
    for (const [list, one] of [["connections", "connection"], ["destinations", "destination"]]) {
      const systems = status[list].filter((system) =>
        (!words || `${system.id} ${kindOf(system)}`.toLowerCase().includes(words)) &&
        (!shownConditions.size || shownConditions.has(system.condition)));
      systems.sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
      const wanted = systems.map((system) => {
        const key = `${one} ${system.id}`;
        if (!rows.has(key)) rows.set(key, makeRow(one));
        updateRow(rows.get(key), system);
        return rows.get(key).item;
      });
      const holder = $(list);
      const isSame = holder.children.length === wanted.length && wanted.every((item, at) => holder.children[at] === item);
      if (!isSame) {
        const focused = document.activeElement;
        fill(holder, wanted);
        if (focused && focused !== document.activeElement && holder.contains(focused)) focused.focus({ preventScroll: true });
      }
      const none = status[list].length ? `No ${one} is shown: all ${status[list].length} are filtered out.` : `No ${one} is configured.`;
      write($(`no-${list}`), none);
      $(`no-${list}`).hidden = systems.length > 0;
    }
  }

  $("filter").addEventListener("input", () => status && showSystems());

  function makeRow(one) {
    const row = { one };
    row.name = make("h4");
    row.kind = make("p", { class: "kind" });
    row.stateName = make("span");
    row.state = make("p", { class: "state" }, make("span", { class: "dot" }), row.stateName);
    row.fresh = make("p", { class: "fresh" });
    row.chart = make("div", { class: "chart" });
    row.failures = make("button", { type: "button", hidden: true, onclick: () => { failuresOf = row.system.id; open("failures"); } });
    row.action = make("button", { type: "button", class: "operates", onclick: () => togglePause(row) });
    row.progress = make("progress", { max: "100" });
    row.progressText = make("span");
    row.batch = make("div", { class: "batch", hidden: true }, row.progressText, row.progress);
    row.note = make("p", { class: "note", hidden: true });
    row.item = make("li", {},
      make("div", { class: "who" }, row.name, row.kind),
      make("div", { class: "how" }, row.state, row.fresh),
      row.chart,
      make("div", { class: "problems" }, row.failures),
      make("div", { class: "act" }, row.action),
      row.batch, row.note);
    return row;
  }

  function updateRow(row, system) {
    row.system = system;
    write(row.name, system.id);
    write(row.kind, kindOf(system));
    const [condition, name] = CONDITIONS.find(([condition]) => condition === system.condition) || [system.condition, system.condition];
    row.state.className = `state ${condition}`;
    row.item.className = condition === "failing" ? "failing" : "";
    write(row.stateName, name);
    write(row.fresh, freshness(system));
    if (system.fresh_as_of) row.fresh.title = `has everything of ${local(system.fresh_as_of)}`;
    write(row.failures, plural(system.failures, "failure"));
    row.failures.setAttribute("aria-label", `${plural(system.failures, "failure")} of ${system.id}`);
    row.failures.hidden = system.failures === 0;
    const isPaused = system.condition === "paused";
    write(row.action, isPaused ? "Resume" : "Pause");
    row.action.setAttribute("aria-label", `${isPaused ? "Resume" : "Pause"} ${system.id}`);
    row.action.hidden = !mayOperate;
    showProgress(row, system);
    const notes = notesOf(system);
    write(row.note, notes);
    row.note.className = system.error ? "note error" : "note quiet";
    row.note.hidden = notes === "";
    drawChart(row, system);
  }

  function freshness(system) {
    if (system.condition === "paused") return `since ${local(system.paused_at)}`;
    if (system.freshness_seconds === null) return system.isDestination ? "was sent nothing yet" : "never in sync yet";
    return `fresh ${system.freshness_seconds < 2 ? "now" : `${ago(system.freshness_seconds)}`}`;
  }

  function notesOf(system) {
    const notes = [];
    if (system.error) notes.push(`${system.error.message} (${local(system.failing_since || system.error.at)})`);
    if (system.next_attempt_at) notes.push(`next attempt ${local(system.next_attempt_at)}`);
    if (system.deletes_withheld) notes.push(`${plural(system.deletes_withheld, "deletion")} wait for a person: customer-sync resync ${system.id} --confirm-deletes`);
    if (system.isDestination && system.waiting) notes.push(`${system.waiting >= 1000 ? "1,000 or more changes wait" : `${plural(system.waiting, "change")} wait${system.waiting === 1 ? "s" : ""}`}`);
    return notes.join(" · ");
  }

  function showProgress(row, system) {
    let text = "", percent = null;
    if (system.batch) {
      const { number: batch, customers, left, listing } = system.batch;
      const done = customers - left;
      text = `Batch ${batch}: ${number(done)} of ${plural(customers, "customer")}${listing ? ", still listing" : ""}`;
      percent = customers ? Math.floor((done * 100) / customers) : 0;
    } else if (system.isDestination && system.listed_percent < 100) {
      text = `Everybody is sent: ${system.listed_percent}%`;
      percent = system.listed_percent;
    }
    row.batch.hidden = percent === null;
    if (percent === null) return;
    write(row.progressText, text);
    row.progress.setAttribute("aria-label", `${system.isDestination ? "Progress" : "Batch in progress"} of ${system.id}`);
    row.progress.value = percent;
  }

  async function togglePause(row) {
    const { id, condition } = row.system;
    const what = condition === "paused" ? "resume" : "pause";
    if (row.action.getAttribute("aria-disabled")) return;
    row.action.setAttribute("aria-disabled", "true");
    try {
      await ask("POST", `/v1/connections/${id}/${what}`);
      announce(what === "pause" ? `${id} is paused` : `${id} goes on`);
      await look();
    } catch (error) {
      if (token) message(`${id} can't be ${what}d`, why(error));
    } finally {
      row.action.removeAttribute("aria-disabled");
    }
  }

  // --- charts --------------------------------------------------------------------------------------------------------

  // What became of customers in each of the last 24 hours, from the totals at the beginning of each.
  function hoursOf(system) {
    const isDestination = system.isDestination;
    const counted = (counts) => isDestination
      ? { written: counts.sent, other: counts.left_out, failed: counts.failed }
      : { written: counts.written, other: counts.unchanged + counts.stale + counts.tombstoned, failed: counts.failed };
    const history = histories.get(system.id) || [];
    const points = history.map((point) => ({ hour: Math.floor(Date.parse(point.hour) / HOUR), ...counted(point) }));
    points.push({ hour: null, ...counted(system.counts) });
    const last = Math.floor(seenAt / HOUR);
    const hours = Array.from({ length: 24 }, (_, at) => ({ hour: last - 23 + at, written: 0, other: 0, failed: 0, known: false }));
    for (let at = 1; at < points.length; at += 1) {
      const [from, to] = [points[at - 1], points[at]];
      // What came in a gap is shown in its last hour.
      const bar = hours[Math.min(23, (to.hour === null ? last : to.hour - 1) - last + 23)];
      if (!bar) continue;
      bar.known = true;
      for (const what of ["written", "other", "failed"]) bar[what] += Math.max(0, to[what] - from[what]);
    }
    return hours;
  }

  function drawChart(row, system) {
    const isPush = !system.isDestination && (system.kind === "connector" || system.kind === "batch-import");
    const hours = isPush ? [] : hoursOf(system);
    const key = JSON.stringify(hours);
    if (row.drawn === key) return;
    row.drawn = key;
    if (isPush) {
      fill(row.chart, make("p", {}, system.kind === "connector" ? "stores what is pushed" : "stores what is imported"));
      return;
    }
    const sum = (what) => hours.reduce((sum, hour) => sum + hour[what], 0);
    const [written, other, failed] = [sum("written"), sum("other"), sum("failed")];
    const names = system.isDestination ? ["sent", "left out", "failed"] : ["written", "unchanged and others", "failed"];
    const highest = Math.max(1, ...hours.map((hour) => hour.written + hour.other + hour.failed));
    const busiest = hours.find((hour) => hour.written + hour.other + hour.failed === highest);
    const text = `Last 24 hours: ${number(written)} ${names[0]}, ${number(other)} ${names[1]}, ${number(failed)} ${names[2]}`
      + (busiest ? `; most in the hour from ${clock(busiest.hour * HOUR).slice(0, 5)}: ${number(highest)}` : "");
    const HEIGHT = 34, STEP = 8, WIDTH = 6;
    const chart = make("svg", { viewBox: `0 0 ${24 * STEP - 2} 36`, preserveAspectRatio: "none", role: "img", "aria-label": text, focusable: "false" },
      make("title", {}, text), make("line", { class: "axis", x1: 0, y1: 35.5, x2: 24 * STEP - 2, y2: 35.5 }));
    hours.forEach((hour, at) => {
      let y = HEIGHT + 1;
      for (const what of ["other", "written", "failed"]) {
        if (!hour[what]) continue;
        // Failures are seen however few they are.
        const height = Math.max(what === "failed" ? 3 : 1, (hour[what] / highest) * (HEIGHT - 3));
        y -= height;
        chart.append(make("rect", { class: `bar-${what}`, x: at * STEP, y: Math.max(0, y).toFixed(2), width: WIDTH, height: height.toFixed(2) }));
      }
    });
    const shown = [written && `${number(written)} ${names[0]}`, other && `${number(other)} ${system.isDestination ? "left out" : "others"}`, failed && `${number(failed)} failed`];
    fill(row.chart, chart, make("p", { "aria-hidden": "true" }, shown.filter(Boolean).join(" · ") || (hours.some((hour) => hour.known) ? "nothing in 24 hours" : "no history yet")));
  }

  // --- failures ------------------------------------------------------------------------------------------------------

  let failuresOf = null, failures = null;

  const systems = () => [...status.connections, ...status.destinations];

  function showFailureChoices() {
    const choices = systems().filter((system) => system.failures > 0 || system.id === failuresOf);
    choices.sort((a, b) => b.failures - a.failures || (a.id < b.id ? -1 : 1));
    if (!choices.some((system) => system.id === failuresOf)) failuresOf = choices.length ? choices[0].id : null;
    const select = $("failures-of");
    const key = choices.map((system) => `${system.id} ${system.failures}`).join();
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      fill(select, choices.map((system) => make("option", { value: system.id }, `${system.id} (${number(system.failures)})`)));
    }
    if (failuresOf) select.value = failuresOf;
    select.parentNode.hidden = choices.length === 0;
    const chosen = choices.find((system) => system.id === failuresOf);
    $("redrive-all").hidden = !mayOperate || !chosen || chosen.failures < 2;
    if (chosen) write($("redrive-all"), `Redrive all ${number(chosen.failures)}`);
    return chosen;
  }

  function openFailures() {
    $("failures-of").dataset.key = "";
    const chosen = showFailureChoices();
    if (!chosen) {
      failures = null;
      $("failures-card").hidden = $("more-failures").hidden = true;
      $("failures-note").textContent = "There are no failures.";
      return;
    }
    loadFailures(chosen, null);
  }

  $("failures-of").addEventListener("change", (event) => {
    failuresOf = event.target.value;
    openFailures();
  });

  async function loadFailures(system, cursor) {
    const asked = { id: system.id, count: system.failures, cursor: null, loaded: 0 };
    if (cursor) Object.assign(asked, { loaded: failures.loaded });
    const isAgain = failures && failures.id === system.id;
    if (!isAgain) {
      fill($("failures"));
      $("failures-card").hidden = true;
      $("failures-note").textContent = "Loading …";
    }
    failures = asked;
    $("more-failures").disabled = true;
    try {
      const page = await ask("POST", "/v1/failures/list", cursor ? { connection: system.id, cursor } : { connection: system.id });
      if (failures !== asked) return;
      const made = page.failures.map((failure) => failureRow(failure, system));
      const first = made[0];
      if (cursor) $("failures").append(...made);
      else keepFocus(() => fill($("failures"), made));
      asked.loaded += page.failures.length;
      asked.cursor = page.cursor;
      const shown = page.more ? `The first ${number(asked.loaded)} of ${number(Math.max(system.failures, asked.loaded + 1))} failures` : plural(asked.loaded, "failure");
      $("failures-note").textContent = asked.loaded ? `${shown}, by id. ${system.isDestination ? "Redrive sends a customer to the destination again within a minute." : "Redrive fetches a customer again with the next batch."}` : "There are no failures any more.";
      $("failures-caption").textContent = `Failures of ${system.id}`;
      $("failures-card").hidden = asked.loaded === 0;
      $("more-failures").hidden = !page.more;
      if (cursor && first) first.querySelector("th").focus();
    } catch (error) {
      if (failures === asked && token) $("failures-note").textContent = `The failures can't be read: ${why(error)}.`;
    } finally {
      $("more-failures").disabled = false;
    }
  }

  // A button that is made anew gets the focus that the old one had.
  function keepFocus(change) {
    const label = document.activeElement && document.activeElement.getAttribute("aria-label");
    change();
    if (label && document.activeElement === document.body) {
      const same = [...document.querySelectorAll("button[aria-label]")].find((button) => button.getAttribute("aria-label") === label);
      (same || $("main")).focus({ preventScroll: true });
    }
  }

  $("more-failures").addEventListener("click", () => {
    const system = systems().find((system) => system.id === failuresOf);
    if (system && failures && failures.cursor) loadFailures(system, failures.cursor);
  });

  // The first page is read again when their number has changed; whoever has gone on reading is not disturbed.
  function lookAtFailuresAgain() {
    const system = systems().find((system) => system.id === failuresOf);
    if (!failures || !system) return openFailures();
    if (system.failures !== failures.count && failures.loaded <= 100) loadFailures(system, null);
    return undefined;
  }

  function failureRow(failure, system) {
    const source = failure.id.slice(failure.id.indexOf("~") + 1);
    const customer = system.isDestination ? source : failure.id;
    const actions = make("div", { class: "row" });
    const redrive = mayOperate && !failure.withheld && make("button", { type: "button", class: "operates", "aria-label": `Redrive ${failure.id}` }, "Redrive");
    const waits = make("span", { class: "quiet", tabindex: "-1" }, "is redriven");
    if (failure.redriven) actions.append(waits);
    else if (redrive) {
      redrive.addEventListener("click", async () => {
        redrive.disabled = true;
        try {
          await ask("POST", "/v1/failures/redrive", { ids: [failure.id] });
          redrive.replaceWith(waits);
          waits.focus();
          announce(`${failure.id} is redriven`);
          schedule(1_000);
        } catch (error) {
          redrive.disabled = false;
          if (token) message("Not redriven", why(error));
        }
      });
      actions.append(redrive);
    }
    if (mayOperate) {
      actions.append(make("button", { type: "button", class: "operates", "aria-label": `Document of ${failure.id}`, onclick: () => showDocument(failure) }, "Document"));
    }
    actions.append(make("button", { type: "button", "aria-label": `Show ${customer}`, onclick: () => search(customer) }, "Show"));
    const withheld = { beyond_limit: "a deletion that waits to be confirmed", unproven: "a deletion that is not proven" }[failure.withheld];
    return make("tr", { role: "row" },
      make("th", { scope: "row", role: "rowheader", class: "id", tabindex: "-1" }, customer),
      make("td", { role: "cell" }, when(failure.failed_at)),
      make("td", { role: "cell", class: "reason" }, failure.reason, withheld ? make("span", { class: "quiet" }, ` (${withheld})`) : null),
      make("td", { role: "cell" }, actions));
  }

  async function showDocument(failure) {
    const body = openDialog(`What was sent of ${failure.id}`, [["Close", "", closeDialog]]);
    body.append(make("p", { role: "status" }, "Loading …"));
    try {
      const { raw, reason, failed_at: failedAt } = await ask("POST", "/v1/failures/raw-document", { id: failure.id });
      const about = make("p", {}, `${reason}, `, when(failedAt));
      fill(body, about, raw ? make("pre", { tabindex: "0", role: "region", "aria-label": "Raw document" }, raw) : make("p", { class: "quiet" }, "Nothing was sent of this customer alone."));
    } catch (error) {
      fill(body, make("p", { class: "error", role: "alert" }, why(error)));
    }
  }

  $("redrive-all").addEventListener("click", () => {
    const system = systems().find((system) => system.id === failuresOf);
    if (!system) return;
    const how = system.isDestination ? "They are sent again within a minute." : "They are fetched again with the next batch.";
    const body = openDialog(`Redrive all ${number(system.failures)} failures of ${system.id}?`, [
      ["Cancel", "", closeDialog],
      ["Redrive all", "main-action", async (button) => {
        button.disabled = true;
        let count = 0;
        try {
          for (let more = true, cursor; more && body.isConnected && $("dialog").open;) {
            const done = await ask("POST", "/v1/failures/redrive", { all: true, connection: system.id, cursor });
            count += done.ids.length;
            cursor = done.cursor;
            more = done.more && done.ids.length > 0;
            write(body.firstChild, `${number(count)} are redriven.`);
          }
          if (body.isConnected) closeDialog();
          announce(`${plural(count, "failure")} of ${system.id} redriven`);
          loadFailures(system, null);
          schedule(1_000);
        } catch (error) {
          fill(body, make("p", { class: "error", role: "alert" }, `${number(count)} are redriven, not all: ${why(error)}.`));
          button.disabled = false;
        }
      }],
    ]);
    body.append(make("p", { role: "status" }, how));
  });

  // --- imports -------------------------------------------------------------------------------------------------------

  let importsOf = null, imports = null;

  function openImports() {
    const choices = status.connections.filter((system) => system.kind === "batch-import");
    if (!choices.some((system) => system.id === importsOf)) importsOf = choices.length ? choices[0].id : null;
    fill($("imports-of"), choices.map((system) => make("option", { value: system.id }, system.id)));
    if (importsOf) $("imports-of").value = importsOf;
    $("imports-of").parentNode.hidden = choices.length === 0;
    if (!importsOf) {
      $("imports-card").hidden = $("more-imports").hidden = true;
      $("imports-note").textContent = "No connection of the kind batch-import is configured.";
      return;
    }
    loadImports(null);
  }

  $("imports-of").addEventListener("change", (event) => {
    importsOf = event.target.value;
    loadImports(null);
  });
  $("more-imports").addEventListener("click", () => loadImports(imports.cursor));

  async function loadImports(cursor) {
    const asked = { id: importsOf, cursor: null };
    imports = asked;
    const after = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    try {
      const page = await ask("GET", `/v1/imports?connection=${encodeURIComponent(asked.id)}&limit=50${after}`);
      if (imports !== asked) return;
      asked.cursor = page.cursor;
      const made = page.imports.map(importRow);
      if (cursor) $("imports").append(...made);
      else keepFocus(() => fill($("imports"), made));
      $("imports-card").hidden = $("imports").children.length === 0;
      $("more-imports").hidden = !page.more;
      $("imports-note").textContent = $("imports").children.length ? "An undo restores every customer that an import changed, unless it has changed since. Of several imports, undo the latest first." : "There was no import in the last 90 days.";
    } catch (error) {
      if (imports === asked && token) $("imports-note").textContent = `The imports can't be read: ${why(error)}.`;
    }
  }

  function importRow(found) {
    const parts = ["new", "updated", "ignored", "failed"].filter((what) => found[what]).map((what) => `${number(found[what])} ${what}`);
    const state = found.undone_at ? ["undone ", when(found.undone_at)] : found.undo_began_at ? ["undo not finished"]
      : !found.finished_at ? ["not finished"] : found.can_be_undone ? ["can be undone"] : ["without undo"];
    const name = `the import of ${local(found.began_at)}`;
    const undo = mayOperate && found.can_be_undone && make("button", { type: "button", class: "operates", "aria-label": `Undo ${name} …`, onclick: () => previewUndo(found, name) }, "Undo …");
    return make("tr", { role: "row" },
      make("th", { scope: "row", role: "rowheader" }, when(found.began_at), make("br"), make("span", { class: "id quiet" }, found.id)),
      make("td", { role: "cell" }, `${plural(found.rows, "row")}${parts.length ? ": " : ""}${parts.join(", ")}`),
      make("td", { role: "cell" }, state),
      make("td", { role: "cell" }, undo || make("span", { class: "quiet" }, "–")));
  }

  const OUTCOMES = [
    ["restored", "Restored"], ["removed", "Deleted, because the import brought them"], ["already_back", "Back already"],
    ["changed_since", "Left alone, because they have changed since"],
    ["card_taken", "Left alone, because their card number is another's now"],
  ];

  function reportOf(report) {
    const facts = OUTCOMES.filter(([name]) => report[name].count).map(([name, words]) => {
      const { count, ids } = report[name];
      const named = ["changed_since", "card_taken"].includes(name) ? `: ${ids.slice(0, 20).join(", ")}${count > 20 ? " …" : ""}` : "";
      return [make("dt", {}, words), make("dd", {}, `${number(count)}${named}`)];
    });
    return facts.length ? make("dl", { class: "facts" }, facts) : make("p", {}, "No customer is touched.");
  }

  async function previewUndo(found, name) {
    const body = openDialog(`Undo ${name}?`, [["Cancel", "", closeDialog]]);
    body.append(make("p", { role: "status" }, "Looking what an undo would do …"));
    try {
      const report = await ask("POST", `/v1/imports/${found.id}/undo`, { dry_run: true });
      if (!body.isConnected || !$("dialog").open) return;
      fill(body, make("p", {}, "What an undo does to the customers of this import:"), reportOf(report), make("p", { class: "quiet" }, "Nothing has been changed yet."));
      const button = make("button", { type: "button", class: "danger", onclick: () => carryOutUndo(found, name, body, button) }, "Undo this import");
      $("dialog-buttons").append(button);
    } catch (error) {
      fill(body, make("p", { class: "error", role: "alert" }, why(error)));
    }
  }

  async function carryOutUndo(found, name, body, button) {
    button.disabled = true;
    const progress = make("p", { role: "status" }, "Undoing …");
    body.append(progress);
    // What earlier requests did is told by the later ones as back already.
    const done = { restored: 0, removed: 0 };
    try {
      // If the dialog is closed, it ends with the request that is under way.
      while (body.isConnected && $("dialog").open) {
        const report = await ask("POST", `/v1/imports/${found.id}/undo`, {});
        done.restored += report.restored.count;
        done.removed += report.removed.count;
        if (report.finished) {
          report.already_back.count = Math.max(0, report.already_back.count - (done.restored - report.restored.count) - (done.removed - report.removed.count));
          report.restored.count = done.restored;
          report.removed.count = done.removed;
          fill(body, make("p", { role: "status" }, "The import is undone. Its customers:"), reportOf(report));
          fill($("dialog-buttons"), dialogButton("Close", "main-action", closeDialog));
          $("dialog-buttons").firstChild.focus();
          break;
        }
        progress.textContent = `Undoing: ${plural(report.left, "customer")} left …`;
      }
    } catch (error) {
      fill(body, make("p", { class: "error", role: "alert" }, `The import is not undone, or only some of it: ${why(error)}. What is back stays back; the undo can be repeated.`));
      button.disabled = false;
    }
    if (token && view === "imports") loadImports(null);
  }

  // --- customers -----------------------------------------------------------------------------------------------------

  let searching = null;

  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    find($("query").value.trim());
  });

  function search(id) {
    $("query").value = id;
    open("customers");
    find(id);
  }

  async function find(query) {
    const asked = {};
    searching = asked;
    fill($("found"));
    $("customer").hidden = true;
    if (!query) return;
    $("search-note").textContent = "Searching …";
    try {
      const isId = /^[a-z0-9-]{1,40}~/.test(query);
      const answer = isId
        ? await ask("POST", "/v1/customers/batch-get", { ids: [query] })
        : await ask("POST", "/v1/customers/search", { email: query });
      if (searching !== asked) return;
      const { customers } = answer;
      if (customers.length === 1) {
        $("search-note").textContent = "";
        showCustomer(customers[0].id, customers[0]);
      } else if (customers.length) {
        $("search-note").textContent = `${answer.more ? "The first " : ""}${plural(customers.length, "customer")} with this address`;
        fill($("found"), customers.map((customer) => make("li", {}, make("button", { type: "button", onclick: () => showCustomer(customer.id, customer) },
          make("span", {}, customer.name.display || "without a name"), make("span", { class: "id quiet" }, customer.id)))));
      } else if (isId) {
        $("search-note").textContent = (answer.unreadable || []).length ? "The record of this customer is damaged: the log says why." : "There is no record of this customer.";
        showCustomer(query, null);
      } else {
        $("search-note").textContent = "No customer has this address.";
      }
    } catch (error) {
      if (searching === asked && token) $("search-note").textContent = `The search failed: ${why(error)}.`;
    }
  }

  function facts(pairs) {
    const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length));
    return make("dl", { class: "facts" }, shown.map(([name, value]) => {
      const values = Array.isArray(value) ? value : [value];
      return [make("dt", {}, name), values.map((one) => make("dd", {}, one))];
    }));
  }

  const kinds = (entry) => {
    const words = [entry.type && entry.type.toLowerCase(), entry.primary && "primary", entry.bad && "bad"].filter(Boolean);
    return words.length ? ` (${words.join(", ")})` : "";
  };

  function tree(value) {
    if (value === null || typeof value !== "object") return [document.createTextNode(String(value))];
    const entries = Array.isArray(value) ? value.map((entry, at) => [`${at + 1}`, entry]) : Object.entries(value);
    return [make("ul", {}, entries.map(([name, entry]) => make("li", {}, make("b", {}, name), entry !== null && typeof entry === "object" ? null : " ", tree(entry))))];
  }

  async function showCustomer(id, customer) {
    const asked = {};
    searching = asked;
    const article = $("customer");
    const where = make("section", { class: "card", "aria-labelledby": "where-title" }, make("h4", { id: "where-title" }, "Where"), make("p", { class: "quiet" }, "Loading …"));
    const name = customer ? customer.name.display || [customer.name.first, customer.name.last].filter(Boolean).join(" ") || "Without a name" : id;
    const badges = customer ? [customer.type, customer.status, customer.stage].filter(Boolean) : [];
    fill(article,
      make("header", {}, make("h3", { id: "customer-name" }, name), badges.map((badge) => make("span", { class: "badge" }, badge))),
      customer && recordOf(customer), where, customer && attributesOf(customer));
    article.hidden = false;
    article.focus({ preventScroll: true });
    try {
      const found = await ask("POST", "/v1/customers/where", { id });
      if (searching !== asked) return;
      fill(where, make("h4", { id: "where-title" }, "Where"), whereOf(found));
    } catch (error) {
      if (searching === asked && token) fill(where, make("h4", { id: "where-title" }, "Where"), make("p", {}, `Nothing can be said: ${why(error)}.`));
    }
  }

  function recordOf(customer) {
    const period = (entry) => [entry.joined || entry.starts, entry.expires].filter(Boolean).join(" to ");
    const member = (entry) => [entry.name || entry.id, entry.status && entry.status.toLowerCase(), period(entry)].filter(Boolean).join(", ");
    const address = (entry) => [...(entry.lines || []), [entry.city, entry.region, entry.postal_code].filter(Boolean).join(" "), entry.country].filter(Boolean).join(", ") + kinds(entry);
    return make("section", { class: "card", "aria-labelledby": "record-title" }, make("h4", { id: "record-title" }, "Record"), facts([
      ["Id", make("span", { class: "id" }, customer.id)], ["External id", customer.external_id],
      ["Organization", customer.organization], ["Roles", customer.roles.join(", ")],
      ["E-mail", customer.emails.map((entry) => entry.address + kinds(entry))],
      ["Phone", customer.phones.map((entry) => entry.number + kinds(entry))],
      ["Address", customer.addresses.map(address)],
      ["Born", customer.birth_date], ["Gender", customer.gender],
      ["Memberships", customer.memberships.map(member)], ["Subscriptions", customer.subscriptions.map(member)],
      ["Owner", customer.owner_staff_id], ["Lead source", customer.lead_source_id],
    ]));
  }

  function attributesOf(customer) {
    const names = Object.keys(customer.attributes || {});
    if (!names.length) return null;
    return make("section", { class: "card wide", "aria-labelledby": "attributes-title" },
      make("h4", { id: "attributes-title" }, "In the words of the source"),
      make("ul", { class: "tree" }, names.map((name) => make("li", {}, make("b", {}, name), " ", tree(customer.attributes[name])))));
  }

  const STANDINGS = { done: "has it, or it is not for it", waiting: "waits to be sent", failed: "was refused", redriven: "is sent again within a minute" };

  function whereOf(found) {
    const { record, failure, redrive } = found;
    const failed = (entry) => entry && [when(entry.failed_at), ` ${entry.reason}`];
    const of = (...parts) => make("span", {}, ...parts.flat().filter(Boolean));
    return facts([
      ["Connection", `${found.id.split("~")[0]}, ${KINDS[found.kind] || found.kind}`],
      ["Record", record ? of(`${record.status}, revision ${record.revision} of `, when(record.changed_at)) : "none"],
      ["First seen", record && when(record.first_seen_at)],
      ["Version", record && of(make("span", { class: "id" }, record.version), record.batch ? `, of batch ${record.batch}` : "")],
      ["In progress", found.chunks.map((chunk) => `chunk ${chunk.chunk} of batch ${chunk.batch}${chunk.is_deletion ? ", to be deleted" : ""}${chunk.in_progress ? `: ${chunk.leased_until ? "a worker has it" : chunk.due_at ? `due ${local(chunk.due_at)}` : "waits"}, ${plural(chunk.attempts, "attempt")}` : ": its batch is over, the next one holds the customer again"}`)],
      ["Failure", failure && of(failed(failure))],
      ["Redrive", redrive && of("requested ", when(redrive.requested_at), redrive.taken_by_batch ? `, in batch ${redrive.taken_by_batch}` : ", waits for the next batch")],
      ["Waits for", found.waits_for.map((entry) => `${entry.resource} ${entry.name_id}`)],
      ["Imports", found.imports.map((entry) => of(when(entry.began_at), `: row ${entry.row}, ${entry.outcome}`, entry.undone_at && ", undone"))],
      ...found.deliveries.map((entry) => [`To ${entry.destination}`, of(STANDINGS[entry.standing] || entry.standing, entry.failure && ": ", failed(entry.failure))]),
    ]);
  }

  // --- live feed -----------------------------------------------------------------------------------------------------

  let following = null;

  function unfollow() {
    if (following) following.abort();
    following = null;
  }

  async function follow() {
    if (following || document.hidden) return;
    const mine = new AbortController();
    following = mine;
    const note = $("changes-note");
    const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
    let cursor = null, attempts = 0;
    while (following === mine) {
      try {
        if (!cursor) {
          // The feed since a minute ago: from where a listing would go on.
          const first = status.connections[0];
          if (!first) {
            note.textContent = "No connection is configured.";
            return;
          }
          const listing = await ask("GET", `/v1/customers?connection=${encodeURIComponent(first.id)}&limit=1`, undefined, mine.signal);
          cursor = listing.changes_cursor;
        }
        const page = await ask("GET", `/v1/changes?limit=100&wait=20&cursor=${encodeURIComponent(cursor)}`, undefined, mine.signal);
        if (following !== mine) return;
        cursor = page.cursor;
        attempts = 0;
        showChanges(page.changes);
        note.textContent = "Every change of a customer, as it comes, while this view is open.";
        // A feed that never waits is read at a pace.
        await wait(page.changes.length ? 1_000 : 250);
      } catch (error) {
        if (following !== mine || error.name === "AbortError" || !token) return;
        if (error.status === 410) cursor = null;
        attempts += 1;
        note.textContent = `The feed can't be read now: ${why(error)}. The page tries again.`;
        await wait(Math.max((error.retryAfter || 0) * 1000, Math.min(LONGEST, 2_000 * 2 ** attempts)));
      }
    }
  }

  function showChanges(changes) {
    const list = $("changes");
    keepFocus(() => {
      for (const change of changes) {
        const name = (change.customer && change.customer.name && change.customer.name.display) || "";
        list.prepend(make("li", {},
          make("time", { datetime: change.changed_at, title: local(change.changed_at) }, clock(change.changed_at)),
          make("span", { class: `what ${change.action}` }, change.action),
          make("span", { class: "whose" }, name, name ? " " : "", make("span", { class: "id" }, change.id)),
          make("button", { type: "button", "aria-label": `Show ${change.id}, revision ${change.revision}`, onclick: () => search(change.id) }, "Show")));
      }
      while (list.children.length > MOST_CHANGES) list.lastChild.remove();
    });
  }

  // --- dialogs -------------------------------------------------------------------------------------------------------

  function dialogButton(name, style, action) {
    const button = make("button", { type: "button", class: style || null, onclick: () => action(button) }, name);
    return button;
  }

  // Returns where its content goes: a node of its own, so that what comes late for another dialog is not shown.
  function openDialog(title, buttons) {
    $("dialog-title").textContent = title;
    const body = make("div");
    fill($("dialog-body"), body);
    fill($("dialog-buttons"), buttons.map(([name, style, action]) => dialogButton(name, style, action)));
    $("dialog").showModal();
    return body;
  }

  function closeDialog() {
    $("dialog").close();
  }

  $("dialog").addEventListener("close", () => {
    fill($("dialog-body"));
    if (document.activeElement === document.body) $("main").focus({ preventScroll: true });
  });

  function message(title, text) {
    openDialog(title, [["Close", "", closeDialog]]).append(make("p", { role: "alert" }, text));
  }

  $("view-sign-in").hidden = false;
  $("token").focus();
})();
