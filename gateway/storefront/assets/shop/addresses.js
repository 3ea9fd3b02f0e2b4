// The address book of a registered user.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { load, skeleton, toast } from "../lib/feedback.js";
import { field } from "../lib/forms.js";
import { makeKey } from "../lib/idempotency-keys.js";
import { describeAddress } from "../lib/order-labels.js";

const PATH = "/addresses";

/** Resolve to the user's addresses and those of the last orders; the `id` of the latter is null. */
export async function fetchAddresses(signal) {
  return (await call("GET", PATH, { query: { with_orders: true }, signal })).data;
}

/** Save an address in the book, unless it is among the `known` ones that have an id. */
export async function saveAddress(address, known) {
  const isKnown = known.some((each) => each.id && describe(each) === describe(address));
  if (!isKnown) await call("PUT", `${PATH}/${makeKey()}`, { body: address });
}

/** Return a choice among `addresses`; `onChoose(address)` gets the chosen one. */
export function addressChoice(addresses, onChoose) {
  return field({
    label: "Use a known address",
    name: "",
    type: "select",
    options: [["", "Choose"], ...addresses.map((address, place) => [String(place), describe(address)])],
    onchange: ({ target }) => target.value && onChoose(addresses[Number(target.value)]),
  });
}

/** Return the list of the user's addresses, from which each can be removed. */
export function addressList(signal) {
  const room = h("div");
  const show = () =>
    load(room, async () => (await call("GET", PATH, { signal })).data, render, {
      skeleton: skeleton("lines", 2),
      signal,
    });
  function render(addresses) {
    if (!addresses.length) {
      return h("p", { class: "faint" }, "None yet. You can save the address of an order in the checkout.");
    }
    return h("ul", { class: "cart-lines" }, addresses.map(row));
  }
  function row(address) {
    return h(
      "li",
      { class: "row row-apart" },
      h(
        "address",
        null,
        describeAddress(address).map((line) => h("div", null, line)),
      ),
      h(
        "button",
        {
          class: "button-icon",
          type: "button",
          "aria-label": `Remove the address ${address.line1}`,
          onclick: () => remove(address),
        },
        icon("trash"),
      ),
    );
  }
  async function remove({ id }) {
    try {
      await call("DELETE", `${PATH}/${id}`);
      await show();
      toast("Address removed.", { kind: "good" });
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      toast(problem.message, { kind: "bad" });
    }
    // The pressed button is gone.
    room.closest("section")?.querySelector("h2")?.focus();
  }
  show();
  return room;
}

function describe(address) {
  return describeAddress(address).join(", ");
}
