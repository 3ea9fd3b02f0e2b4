// The options of a product: their names, and their values as chips.
import { h, icon, replace } from "../lib/dom.js";
import { announce, askToConfirm, toast } from "../lib/feedback.js";
import { field } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";

const SHOWN = 8; // Variants that an explanation names.

/**
 * Return an editor of the options in `set`. It asks before a change that withdraws variants, and calls
 * `onChange` after each change.
 */
export function optionsEditor(set, onChange) {
  const list = h("div", { class: "options" });
  const node = h(
    "div",
    { class: "stack" },
    list,
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button", type: "button", onclick: addOption }, icon("plus"), "Add an option"),
    ),
  );
  // The value whose name and place the admin edits.
  let chosen = null;
  render();

  function render() {
    replace(list, set.options.map(optionCard));
  }
  /** Render again, and focus the element with this data-focus. */
  function change(focus) {
    render();
    onChange();
    if (focus) list.querySelector(`[data-focus="${focus}"]`)?.focus();
  }
  function addOption() {
    attempt(() => {
      const option = set.addOption();
      change(`name-${option.key}`);
    });
  }

  function optionCard(option, place) {
    const label = () => option.name || `option ${place + 1}`;
    // Rendering again while the admin types the name would drop the focus.
    const named = [];
    const nameAfter = (element, makeLabel) => {
      const update = () => element.setAttribute("aria-label", makeLabel());
      named.push(update);
      update();
      return element;
    };
    const name = field({
      label: `Option ${place + 1}`,
      name: "",
      required: true,
      maxlength: 50,
      value: option.name,
      autocomplete: "off",
      placeholder: "Size",
      hint: place ? null : "Such as Size or Colour.",
      oninput: (event) => {
        option.name = event.target.value.trim();
        for (const update of named) update();
      },
      // Enter would submit the form.
      onkeydown: (event) => {
        if (event.key !== "Enter" || event.isComposing) return;
        event.preventDefault();
        list.querySelector(`[data-focus="add-${option.key}"]`).focus();
      },
    });
    name.querySelector("input").dataset.focus = `name-${option.key}`;
    const card = h(
      "div",
      { class: "option", role: "group" },
      h(
        "div",
        { class: "option-head" },
        name,
        h(
          "div",
          { class: "button-row" },
          place > 0 &&
            nameAfter(
              iconButton("up", "", () => {
                set.moveOption(option, -1);
                change(`name-${option.key}`);
              }),
              () => `Move ${label()} up`,
            ),
          nameAfter(
            iconButton("trash", "", () => removeOption(option)),
            () => `Remove ${label()}`,
          ),
        ),
      ),
      chips(option, label, nameAfter),
      chosen?.option === option && valueEditor(option, chosen.value),
      existingField(option),
    );
    return nameAfter(card, () => option.name || `Option ${place + 1}`);
  }

  function chips(option, label, nameAfter) {
    const input = h("input", {
      class: "chip-input",
      type: "text",
      autocomplete: "off",
      enterkeyhint: "enter",
      placeholder: option.values.length ? "Add a value" : "Type a value, then Enter",
      dataset: { focus: `add-${option.key}` },
      onkeydown: (event) => {
        if (event.key === "Backspace" && !input.value && option.values.length) {
          event.preventDefault();
          removeValue(option, option.values.at(-1));
        } else if (["Enter", ","].includes(event.key) && !event.isComposing) {
          event.preventDefault();
          add();
        }
      },
      // A phone's keyboard sends no key for a comma, and a list may be pasted.
      oninput: () => input.value.includes(",") && add(),
      onblur: () => input.value.trim() && add(false),
    });
    nameAfter(input, () => `Add a value to ${label()}`);
    function add(isFocused = true) {
      const texts = input.value.split(",").map((text) => text.trim().replaceAll(/\s+/g, " "));
      attempt(() => {
        for (const text of texts.filter(Boolean)) {
          set.addValue(option, text);
          announce(`${text} added.`);
        }
      });
      input.value = "";
      change(isFocused && `add-${option.key}`);
    }
    return h(
      "div",
      { class: "option-values" },
      h(
        "ul",
        { "aria-label": "Values" },
        option.values.map((value) =>
          h(
            "li",
            { class: "option-value" },
            h(
              "button",
              {
                type: "button",
                "aria-label": `Edit ${value.text}`,
                "aria-expanded": String(chosen?.value === value),
                dataset: { focus: `value-${value.key}` },
                onclick: () => {
                  chosen = chosen?.value === value ? null : { option, value };
                  render();
                  const focus = chosen ? `rename-${value.key}` : `value-${value.key}`;
                  list.querySelector(`[data-focus="${focus}"]`).focus();
                },
              },
              value.text,
            ),
            iconButton("close", `Remove ${value.text}`, () => removeValue(option, value)),
          ),
        ),
      ),
      input,
    );
  }

  /** Return the fields that rename and move a value. */
  function valueEditor(option, value) {
    const place = option.values.indexOf(value);
    const rename = field({
      label: `Rename ${value.text}`,
      name: "",
      required: true,
      maxlength: 100,
      value: value.text,
      autocomplete: "off",
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();
        if (event.key === "Enter") save(event.target.value.trim());
        else close();
      },
    });
    const input = rename.querySelector("input");
    input.dataset.focus = `rename-${value.key}`;
    const close = () => {
      chosen = null;
      change(`value-${value.key}`);
    };
    const save = (text) => text && attempt(() => set.renameValue(option, value, text)) && close();
    const mover = (step, text) =>
      h(
        "button",
        {
          class: "button button-small",
          type: "button",
          "aria-disabled": !option.values[place + step] && "true",
          dataset: { focus: `move${step}-${value.key}` },
          onclick: () => {
            set.moveValue(option, value, step);
            change(`move${step}-${value.key}`);
          },
        },
        text,
      );
    return h(
      "div",
      { class: "inline-form" },
      rename,
      h(
        "div",
        { class: "button-row" },
        h(
          "button",
          { class: "button button-small", type: "button", onclick: () => save(input.value.trim()) },
          "Rename",
        ),
        mover(-1, "Move left"),
        mover(1, "Move right"),
        h("button", { class: "button button-small button-quiet", type: "button", onclick: close }, "Done"),
      ),
    );
  }

  /** Return the question for the value that existing variants get, if the option is new to them. */
  function existingField(option) {
    if (option.isSaved || !set.saved.length || !option.values.length) return null;
    const number = set.saved.filter((row) => row.isSold).length;
    const select = field({
      label: number === 1 ? "The existing variant has" : `The ${number} existing variants have`,
      name: "",
      type: "select",
      required: true,
      value: String(option.existing ?? ""),
      options: [["", "Choose a value"], ...option.values.map(({ key, text }) => [String(key), text])],
      hint: "What you sell today keeps its SKU, price and stock, and gets this value.",
      onchange: (event) => {
        set.setExisting(option, event.target.value ? Number(event.target.value) : null);
        change(`existing-${option.key}`);
      },
    });
    select.querySelector("select").dataset.focus = `existing-${option.key}`;
    return select;
  }

  async function removeValue(option, value) {
    const users = set.findUsers(option, value);
    if (users.length === set.saved.filter((row) => row.isSold).length && users.length) {
      toast(`All existing variants have ${value.text}. Rename it, or save other variants before you remove it.`, {
        kind: "bad",
      });
      return;
    }
    const isSure =
      !users.length ||
      (await askToConfirm({
        title: `Remove ${value.text}?`,
        text: explainLoss(set, users),
        action: `Remove ${value.text}`,
        danger: true,
      }));
    if (!isSure) return;
    chosen = null;
    set.removeValue(option, value);
    announce(`${value.text} removed.`);
    change(`add-${option.key}`);
  }

  async function removeOption(option) {
    const merged = set.findMerged(option);
    const isSure =
      !merged.length ||
      (await askToConfirm({
        title: `Remove ${option.name}?`,
        text:
          `Without ${option.name}, some variants would be the same, and one of each stays. ` + explainLoss(set, merged),
        action: `Remove ${option.name}`,
        danger: true,
      }));
    if (!isSure) return;
    chosen = null;
    set.removeOption(option);
    change();
    node.querySelector(".button-row > .button:last-child").focus();
  }
  return { node };
}

/** Return what a save does to these variants, in words. */
export function explainLoss(set, rows) {
  const names = rows.slice(0, SHOWN).map((row) => set.title(row));
  const more = rows.length > SHOWN ? ` and ${rows.length - SHOWN} more` : "";
  return (
    `When you save, the shop stops selling ${countOf(rows.length, "variant")}: ${names.join(", ")}${more}. ` +
    "Existing orders do not change. You cannot undo this."
  );
}

function attempt(work) {
  try {
    work();
    return true;
  } catch (error) {
    toast(error.message, { kind: "bad" });
    return false;
  }
}

function iconButton(name, label, onclick) {
  return h("button", { class: "button-icon", type: "button", "aria-label": label, onclick }, icon(name));
}
