// Reload the page once if a module fails to load. Without all of its modules the page does nothing, and the
// usual cause is a network change, after which a second attempt succeeds. This script must precede the
// scripts that it watches.
const RELOAD_AFTER = 1000; // Milliseconds.

function reload() {
  setTimeout(() => location.reload(), RELOAD_AFTER);
}

const [visit] = performance.getEntriesByType("navigation");

addEventListener(
  "error",
  ({ target }) => {
    if (target.localName !== "script" || visit?.type === "reload") return;
    // Offline, a reload would show the browser's own error page.
    if (navigator.onLine) reload();
    else addEventListener("online", reload, { once: true });
  },
  { capture: true },
);
