// Without all of its modules the page does nothing. Mostly the network has changed while they were on their way, and
// the next attempt succeeds; so the page loads itself again, once. This script stands before all that it looks after.
const RELOAD_AFTER = 1000;

function reload() {
  setTimeout(() => location.reload(), RELOAD_AFTER);
}

const [visit] = performance.getEntriesByType("navigation");

addEventListener(
  "error",
  ({ target }) => {
    if (target.localName !== "script" || visit?.type === "reload") return;
    // A reload without a connection would put the browser's own page in the place of ours.
    if (navigator.onLine) reload();
    else addEventListener("online", reload, { once: true });
  },
  { capture: true },
);
