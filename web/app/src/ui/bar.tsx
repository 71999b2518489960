// The buttons of a call.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Leaving, withoutRoom } from "../pure/bar.js";
import { unreadOf } from "../pure/chat.js";
import { refusals } from "../pure/may.js";
import type { Call } from "../state/call.js";
import { type Capture, canShareScreen } from "../state/capture.js";
import { shortcutsOn } from "../state/shortcuts.js";
import { toggleInCall } from "../state/switches.js";
import { lastRead, type Panel, panel, togglePanel } from "../state/view.js";
import { type Action, actionOf, labelOf } from "./actions.js";
import { Icon } from "./icon.js";
import { MoreMenu } from "./more.js";
import type { IconName } from "./sprite.gen.js";
import { SwitchButton } from "./switch-button.js";

/** Microphone, camera, chat, menu and leave. */
const staying = 5;

export function Bar({ call }: { readonly call: Call }): JSX.Element {
  const footer = useRef<HTMLElement>(null);
  const width = useContentWidth(footer);
  const unread = panel.value === "chat" ? 0 : unreadOf(call.chat.value, lastRead.value);
  const people = call.people.value.length;
  const offered = offeredIn(call);
  const inMenu = withoutRoom(offered, staying, width.value);
  const isHere = (which: Leaving): boolean => offered.includes(which) && !inMenu.includes(which);
  return (
    <footer class="bar" ref={footer}>
      <span class="bar-room" title={call.room}>
        {call.room}
      </span>
      <div class="bar-buttons" role="group" aria-label="Call">
        <DeviceButton call={call} capture={call.microphone} shortcut="M" />
        <DeviceButton call={call} capture={call.camera} shortcut="V" />
        {isHere("share") && <ActionButton {...actionOf("share", call)} />}
        <PanelButton which="chat" icon="chat" label="Chat" shortcut="C" badge={unread} badgeText={`, ${unread} unread`} />
        {isHere("people") && <PanelButton which="people" icon="people" label="People" shortcut="P" badge={people} badgeText={`, ${people} here`} isQuiet />}
        {isHere("hand") && <ActionButton {...actionOf("hand", call)} />}
        <MoreMenu call={call} inMenu={inMenu} />
        <button type="button" class="bar-button leave" aria-label="Leave" data-tip="Leave" onClick={() => call.leave()}>
          <Icon name="leave" />
        </button>
      </div>
    </footer>
  );
}

/** What is not always in the bar. */
function offeredIn(call: Call): Leaving[] {
  const offered: Leaving[] = ["people"];
  if (canShareScreen()) offered.push("share");
  if (call.hasHands.value) offered.push("hand");
  return offered;
}

/** How wide the inside of an element is, from before it is painted first. */
function useContentWidth(element: RefObject<HTMLElement | null>): ReadonlySignal<number> {
  const width = useSignal(Infinity);
  useLayoutEffect(() => {
    if (!element.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) width.value = entry.contentRect.width;
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

function DeviceButton({ call, capture, shortcut }: { readonly call: Call; readonly capture: Capture; readonly shortcut: string }): JSX.Element {
  const refusal = call.may.value[capture.device] ? "" : refusals[capture.device];
  return <SwitchButton capture={capture} shape="in-bar" shortcut={shortcut} refusal={refusal} onToggle={() => toggleInCall(call, capture)} />;
}

function ActionButton({ icon, label, shortcut, isLit, refusal, does }: Action): JSX.Element {
  return (
    <button
      type="button"
      class={`bar-button${isLit ? " lit" : ""}`}
      aria-label={labelOf(label, refusal)}
      aria-disabled={refusal !== ""}
      aria-keyshortcuts={shortcut}
      data-tip={refusal || tipOf(label, shortcut)}
      onClick={does}
    >
      <Icon name={icon} />
    </button>
  );
}

interface PanelButtonProps {
  readonly which: Exclude<Panel, "none">;
  readonly icon: IconName;
  readonly label: string;
  readonly shortcut: string;
  readonly badge: number;
  readonly badgeText: string;
  readonly isQuiet?: boolean;
}

function PanelButton({ which, icon, label, shortcut, badge, badgeText, isQuiet = false }: PanelButtonProps): JSX.Element {
  const isOpen = panel.value === which;
  return (
    <button
      type="button"
      id={`open-${which}`}
      class={`bar-button${isOpen ? " open" : ""}`}
      aria-label={`${label}${badge > 0 ? badgeText : ""}`}
      aria-expanded={isOpen}
      aria-controls="panel"
      aria-keyshortcuts={shortcut}
      data-tip={tipOf(label, shortcut)}
      onClick={() => togglePanel(which)}
    >
      <Icon name={icon} />
      {badge > 0 && (
        <span class={`badge${isQuiet ? " quiet-badge" : ""}`} aria-hidden="true">
          {badge > 99 ? "99+" : badge}
        </span>
      )}
    </button>
  );
}

const tipOf = (label: string, shortcut: string): string => (shortcutsOn.value ? `${label} (${shortcut})` : label);
