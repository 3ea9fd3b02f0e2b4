// The images of a product: upload, order, alt texts, deletion.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, toast } from "../lib/feedback.js";
import { mediaOf, picture } from "../shop/catalog.js";
import { card, errorNote, showingProblem } from "./parts.js";

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const ATTEMPTS = 5;

/**
 * Return a card with the images of a product. It fires `change` at `images` with the changed product, and shows
 * the product of a `save` that others fire there.
 */
export function imagesCard(product, read, images) {
  const path = `/products/${product.id}/images`;
  const notice = h("div", { class: "notice-room" });
  const list = h("ol", { class: "image-list" });
  const chooser = h("input", {
    type: "file",
    multiple: true,
    accept: TYPES.join(),
    class: "visually-hidden",
    id: "choose-images",
    onchange: () => uploadAll([...chooser.files]),
  });
  const zone = h(
    "div",
    {
      class: "drop-zone",
      tabindex: "0",
      role: "group",
      "aria-label": "Add images: paste or drop them here",
      ondragover: (event) => {
        event.preventDefault();
        zone.classList.add("drop-zone-active");
      },
      ondragleave: () => zone.classList.remove("drop-zone-active"),
      ondrop: (event) => {
        event.preventDefault();
        zone.classList.remove("drop-zone-active");
        uploadAll([...event.dataTransfer.files]);
      },
      onpaste: (event) => {
        const files = [...event.clipboardData.files];
        if (!files.length) return;
        event.preventDefault();
        uploadAll(files);
      },
    },
    chooser,
    h("label", { class: "button", for: "choose-images" }, icon("plus"), "Choose images"),
    h("p", { class: "small faint" }, "Or drop or paste them here. PNG, JPEG, WebP or GIF, at most 10 MiB each."),
  );
  const room = card("Images", list, notice, zone);
  let shown = product;

  function show(now) {
    shown = now;
    // An earlier change may be shown while the admin is already at the next one.
    const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
    replace(
      list,
      now.images.map((source, place) => imageRow(now, source, place)),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  function imageRow(now, source, place) {
    const stored = mediaOf(now, source);
    const name = `image ${place + 1}`;
    return h(
      "li",
      { class: "image-row" },
      picture(now, { size: 88, source }),
      stored ? altForm(stored, name) : h("p", { class: "small faint image-url" }, source),
      h(
        "div",
        { class: "row" },
        stored && moveButton(stored, place - 1, `Move ${name} left`, "left", place === 0),
        stored && moveButton(stored, place + 1, `Move ${name} right`, "right", place === now.images.length - 1),
        h(
          "button",
          {
            class: "button-icon",
            type: "button",
            "aria-label": `Delete ${name}`,
            onclick: () => change(`Deleted ${name}.`, () => remove(stored, source)),
          },
          icon("trash"),
        ),
      ),
    );
  }

  function altForm(stored, name) {
    const input = h("input", {
      id: `image-${stored.id}-alt`,
      value: stored.alt,
      maxlength: 300,
      "aria-label": `Alt text of ${name}`,
      placeholder: "Describe the image",
    });
    const save = async (event) => {
      event?.preventDefault();
      if (input.value.trim() === stored.alt) return;
      await change(`Saved the alt text of ${name}.`, () =>
        call("PATCH", `${path}/${stored.id}`, { body: { alt: input.value } }),
      );
    };
    input.addEventListener("change", save);
    return h("form", { onsubmit: save }, input);
  }

  function moveButton(stored, position, label, direction, isLast) {
    const id = `image-${stored.id}-${direction}`;
    const move = async () => {
      await change(`${label}.`, () => call("PATCH", `${path}/${stored.id}`, { body: { position } }));
      // The list was rendered again; at its end the other button takes the focus.
      const other = direction === "left" ? "right" : "left";
      const button = document.getElementById(id);
      (button?.disabled ? document.getElementById(`image-${stored.id}-${other}`) : button)?.focus();
    };
    return h(
      "button",
      { class: "button-icon", type: "button", id, "aria-label": label, disabled: isLast, onclick: move },
      icon(direction),
    );
  }

  function remove(stored, source) {
    if (stored) return call("DELETE", `${path}/${stored.id}`);
    const left = shown.images.filter((each) => each !== source);
    return call("PATCH", `/products/${product.id}`, { body: { version: shown.version, images: left } });
  }

  async function change(done, work) {
    await showingProblem(notice, async () => {
      await work();
      await refresh();
      announce(done);
    });
  }

  async function refresh() {
    const now = await read();
    show(now);
    images.dispatchEvent(new CustomEvent("change", { detail: now }));
  }

  // The service decodes one image at a time, so they are sent one after the other.
  async function uploadAll(files) {
    if (!files.length || room.hasAttribute("aria-busy")) return;
    room.setAttribute("aria-busy", "true");
    replace(notice);
    const refused = [];
    for (const [place, file] of files.entries()) {
      announce(`Uploading image ${place + 1} of ${files.length}.`);
      try {
        await upload(file);
        await refresh();
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        refused.push(errorNote(`${file.name}: ${problem.message}`));
      }
    }
    room.removeAttribute("aria-busy");
    chooser.value = "";
    replace(notice, refused);
    const count = files.length - refused.length;
    if (count) toast(count === 1 ? "Image added." : `${count} images added.`, { kind: "good" });
  }

  async function upload(file) {
    const body = new FormData();
    body.append("image", file);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call("POST", path, { body });
      } catch (problem) {
        if (problem.code !== "uploads_busy" || attempt === ATTEMPTS) throw problem;
        await wait(1000 * (problem.retryAfter ?? 1));
      }
    }
  }

  images.addEventListener("save", ({ detail: now }) => show(now));
  show(product);
  return room;
}
