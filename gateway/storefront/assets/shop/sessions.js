// The devices on which the user is signed in.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { load, skeleton, toast } from "../lib/feedback.js";
import { formatAgo, formatTime } from "../lib/format.js";

const PATH = "/auth/sessions";
// The first match counts: other browsers name Chrome and Safari, too, and Android names Linux.
const BROWSERS = [
  ["Edge", /\bEdg/],
  ["Opera", /\bOPR\//],
  ["Firefox", /\b(Firefox|FxiOS)\//],
  ["Chrome", /(Chrome|CriOS)\//],
  ["Safari", /\bSafari\//],
];
const SYSTEMS = [
  ["Windows", /Windows/],
  ["Android", /Android/],
  ["iPhone", /iPhone/],
  ["iPad", /iPad/],
  ["macOS", /Mac OS X/],
  ["Linux", /Linux/],
];

/** Return `{element, refresh}`: the list of the user's sessions, from which each other one can be ended. */
export function sessionList(signal) {
  const room = h("div");
  const refresh = () =>
    load(room, async () => (await call("GET", PATH, { signal })).data, render, {
      skeleton: skeleton("lines", 2),
      signal,
    });
  function render(sessions) {
    return h("ul", { class: "cart-lines stack" }, sessions.map(row));
  }
  function row(session) {
    const device = describeDevice(session.user_agent);
    const where = session.address ? `${session.address}, ` : "";
    const { last_used_at: used } = session;
    return h(
      "li",
      { class: "row row-apart" },
      h(
        "div",
        null,
        h("p", { title: session.user_agent }, h("strong", null, device)),
        h(
          "p",
          { class: "small faint" },
          `${where}last used `,
          h("time", { datetime: used, title: formatTime(used) }, formatAgo(used)),
        ),
      ),
      session.current
        ? h("span", { class: "badge badge-good" }, "This device")
        : h(
            "button",
            {
              class: "button button-small",
              type: "button",
              "aria-label": `Sign out ${device}${session.address ? ` at ${session.address}` : ""}`,
              onclick: () => end(session),
            },
            "Sign out",
          ),
    );
  }
  async function end({ id }) {
    try {
      await call("DELETE", `${PATH}/${id}`);
      toast("Signed out on that device.", { kind: "good" });
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      // It has ended in the meantime.
      if (problem.status !== 404) toast(problem.message, { kind: "bad" });
    }
    await refresh();
    // The pressed button is gone.
    room.closest("section")?.querySelector("h2")?.focus();
  }
  refresh();
  return { element: room, refresh };
}

/** Return a browser and its system, such as `Firefox on Windows`; of an unknown one, its own name. */
function describeDevice(agent) {
  if (!agent) return "Unknown device";
  const find = (names) => names.find(([, pattern]) => pattern.test(agent))?.[0];
  const parts = [find(BROWSERS), find(SYSTEMS)].filter(Boolean);
  return parts.length ? parts.join(" on ") : agent.slice(0, 60);
}
