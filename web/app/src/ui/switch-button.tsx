import type { JSX } from "preact";
import type { Capture } from "../state/capture.js";
import { shortcutsOn } from "../state/shortcuts.js";
import { labelOf } from "./actions.js";
import { Icon } from "./icon.js";

interface Props {
  readonly capture: Capture;
  readonly shape: "round" | "in-bar";
  readonly shortcut?: string;
  /** Why one may not use it; empty: one may. Pressed all the same, it says so. */
  readonly refusal: string;
  readonly onToggle: () => Promise<void>;
}

/** Switches one's microphone or camera. */
export function SwitchButton({ capture, shape, shortcut, refusal, onToggle }: Props): JSX.Element {
  const isMicrophone = capture.device === "microphone";
  const state = capture.state.value;
  const isFailed = state.is === "failed";
  const isOn = capture.on.value && !isFailed && refusal === "";
  const noun = isMicrophone ? "microphone" : "camera";
  const action = isFailed ? `Try the ${noun} again` : isMicrophone ? (isOn ? "Mute" : "Unmute") : isOn ? "Stop camera" : "Start camera";
  const icon = isMicrophone ? (isOn ? "mic" : "mic-off") : isOn ? "camera" : "camera-off";
  return (
    <button
      type="button"
      class={`switch ${shape}${isOn ? "" : " off"}`}
      aria-label={labelOf(action, refusal)}
      aria-disabled={refusal !== ""}
      aria-busy={state.is === "starting"}
      aria-keyshortcuts={shortcut}
      data-tip={refusal || (shortcut && shortcutsOn.value ? `${action} (${shortcut})` : action)}
      onClick={() => void onToggle()}
    >
      <Icon name={icon} />
      {isFailed && <span class="badge bad" aria-hidden="true">!</span>}
    </button>
  );
}
