// What is needed seldom, and what the bar has no room for.

import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Leaving } from "../pure/bar.js";
import type { Call } from "../state/call.js";
import { devices } from "../state/devices.js";
import { canFullScreen, isFullScreen, toggleFullScreen } from "../state/full-screen.js";
import { invite, inviteLabel } from "../state/link.js";
import { boardOpen, dialog, menuOpen, panel, toggleBoard, toggleView, viewFor } from "../state/view.js";
import { type Action, actionOf, labelOf } from "./actions.js";
import { hasFocus, moreButton } from "./focus.js";
import { Icon } from "./icon.js";
import { isTouch } from "./tile.js";

type Entry = Pick<Action, "icon" | "label" | "does"> & Partial<Pick<Action, "refusal">>;

export function MoreMenu({ call, inMenu }: { readonly call: Call; readonly inMenu: readonly Leaving[] }): JSX.Element {
  const button = useRef<HTMLButtonElement>(null);
  const isOpen = menuOpen.value;
  const close = (): void => {
    menuOpen.value = false;
  };
  return (
    <div class="more">
      <button
        ref={button}
        id={moreButton}
        type="button"
        class={`bar-button${isOpen ? " open" : ""}`}
        aria-label="More"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        data-tip={isOpen ? undefined : "More"}
        onClick={() => (menuOpen.value = !isOpen)}
      >
        <Icon name="more" />
      </button>
      {isOpen && <Menu entries={[...inMenu.map((which) => actionOf(which, call)), ...entriesOf(call)]} onClose={close} opener={button.current} />}
    </div>
  );
}

function entriesOf(call: Call): Entry[] {
  const entries: Entry[] = [];
  if (call.board.value) entries.push({ icon: "board", label: boardOpen.value ? "Close the whiteboard" : "Whiteboard", does: toggleBoard });
  if (call.notes.value) entries.push({ icon: "notes", label: "Notes", does: () => (panel.value = "notes") });
  entries.push({ icon: "settings", label: "Devices", does: () => (dialog.value = { is: "devices" }) });
  entries.push({ icon: "copy", label: inviteLabel(call), does: () => invite(call) });
  const count = call.people.value.length;
  if (count > 2) {
    const [icon, label] = viewFor(count) === "grid" ? (["speaker-view", "Speaker view"] as const) : (["grid-view", "Grid view"] as const);
    entries.push({ icon, label, does: () => toggleView(count) });
  }
  if (isTouch() && devices.value.cameras.length > 1 && call.may.value.camera) entries.push({ icon: "flip", label: "Other camera", does: () => void call.camera.flip() });
  if (canFullScreen()) {
    const [icon, label] = isFullScreen.value ? (["shrink", "Leave full screen"] as const) : (["expand", "Full screen"] as const);
    entries.push({ icon, label, does: () => void toggleFullScreen() });
  }
  entries.push({ icon: "statistics", label: "Statistics", does: () => (panel.value = "statistics") });
  if (!isTouch()) entries.push({ icon: "keyboard", label: "Keyboard shortcuts", does: () => (dialog.value = { is: "shortcuts" }) });
  return entries;
}

interface MenuProps {
  readonly entries: readonly Entry[];
  readonly onClose: () => void;
  readonly opener: HTMLButtonElement | null;
}

/** A menu as the ARIA Authoring Practices describe it: arrows move, Escape and Tab close, a click elsewhere too. */
function Menu({ entries, onClose, opener }: MenuProps): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const items = (): HTMLButtonElement[] => [...(list.current?.querySelectorAll("button") ?? [])];
  useLayoutEffect(() => {
    items()[0]?.focus();
    const elsewhere = (e: PointerEvent): void => {
      if (e.target instanceof Node && !list.current?.contains(e.target) && !opener?.contains(e.target)) onClose();
    };
    addEventListener("pointerdown", elsewhere, true);
    return () => {
      removeEventListener("pointerdown", elsewhere, true);
      if (hasFocus(list.current)) opener?.focus();
    };
  }, []);

  const move = (e: KeyboardEvent): void => {
    const all = items();
    const at = all.findIndex((b) => b === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (e.key === "Tab") onClose();
    if (to === undefined) return;
    e.preventDefault();
    all.at(to % all.length)?.focus();
  };

  return (
    <div class="menu" role="menu" aria-label="More" ref={list} tabIndex={-1} onKeyDown={move}>
      {entries.map(({ icon, label, refusal = "", does }) => (
        <button
          key={label}
          type="button"
          role="menuitem"
          aria-label={refusal === "" ? undefined : labelOf(label, refusal)}
          aria-disabled={refusal !== ""}
          tabIndex={-1}
          onClick={() => {
            onClose();
            opener?.focus();
            does();
          }}
        >
          <Icon name={icon} /> {label}
        </button>
      ))}
    </div>
  );
}
