// The buttons of a call.

import type { JSX } from "preact";
import { unreadOf } from "../pure/chat.js";
import type { Call } from "../state/call.js";
import { canShareScreen } from "../state/capture.js";
import { mayRaise, toggleHand } from "../state/hands.js";
import { shortcutsOn } from "../state/shortcuts.js";
import { lastRead, type Panel, panel, togglePanel } from "../state/view.js";
import { Icon } from "./icon.js";
import { MoreMenu } from "./more.js";
import type { IconName } from "./sprite.gen.js";
import { SwitchButton } from "./switch-button.js";

export function Bar({ call }: { readonly call: Call }): JSX.Element {
  const unread = panel.value === "chat" ? 0 : unreadOf(call.chat.value, lastRead.value);
  const people = call.people.value.length;
  const isRaised = call.people.value.some((p) => p.isLocal && p.hand > 0);
  const isSharing = call.sharing.value.is === "live";
  return (
    <footer class="bar">
      <span class="bar-room" title={call.room}>
        {call.room}
      </span>
      <div class="bar-buttons" role="toolbar" aria-label="Call">
        {call.mayPublish && (
          <>
            <SwitchButton capture={call.microphone} shape="in-bar" shortcut="M" />
            <SwitchButton capture={call.camera} shape="in-bar" shortcut="V" />
            {canShareScreen() && (
              <BarButton
                icon={isSharing ? "share-off" : "share"}
                label={isSharing ? "Stop sharing" : "Share screen"}
                shortcut="D"
                isLit={isSharing}
                onClick={() => void call.toggleSharing()}
              />
            )}
          </>
        )}
        <PanelButton which="chat" icon="chat" label="Chat" shortcut="C" badge={unread} badgeText={`, ${unread} unread`} />
        <PanelButton which="people" icon="people" label="People" shortcut="P" badge={people} badgeText={`, ${people} here`} isQuiet />
        {mayRaise(call) && (
          <BarButton icon="hand" label={isRaised ? "Lower your hand" : "Raise your hand"} shortcut="R" isLit={isRaised} onClick={() => void toggleHand(call)} />
        )}
        <MoreMenu call={call} />
        <BarButton icon="leave" label="Leave" isLeave onClick={() => call.leave()} />
      </div>
    </footer>
  );
}

interface BarButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly shortcut?: string;
  readonly isLit?: boolean;
  readonly isLeave?: boolean;
  readonly onClick: () => void;
}

function BarButton({ icon, label, shortcut, isLit = false, isLeave = false, onClick }: BarButtonProps): JSX.Element {
  return (
    <button
      type="button"
      class={`bar-button${isLit ? " lit" : ""}${isLeave ? " leave" : ""}`}
      aria-label={label}
      aria-keyshortcuts={shortcut}
      data-tip={tipOf(label, shortcut)}
      onClick={onClick}
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

const tipOf = (label: string, shortcut: string | undefined): string => (shortcut && shortcutsOn.value ? `${label} (${shortcut})` : label);
