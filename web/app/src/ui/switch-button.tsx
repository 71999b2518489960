import type { JSX } from "preact";
import { type Capture, toggleInCall } from "../state/capture.js";
import { shortcutsOn } from "../state/shortcuts.js";
import { Icon } from "./icon.js";

interface Props {
  readonly capture: Capture;
  readonly shape: "round" | "in-bar";
  readonly shortcut?: string;
}

/** Switches one's microphone or camera. */
export function SwitchButton({ capture, shape, shortcut }: Props): JSX.Element {
  const isMicrophone = capture.device === "microphone";
  const state = capture.state.value;
  const isFailed = state.is === "failed";
  const isOn = capture.on.value && !isFailed;
  const noun = isMicrophone ? "microphone" : "camera";
  const action = isFailed ? `Try the ${noun} again` : isMicrophone ? (isOn ? "Mute" : "Unmute") : isOn ? "Stop camera" : "Start camera";
  const icon = isMicrophone ? (isOn ? "mic" : "mic-off") : isOn ? "camera" : "camera-off";
  return (
    <button
      type="button"
      class={`switch ${shape}${isOn ? "" : " off"}`}
      aria-label={action}
      aria-busy={state.is === "starting"}
      aria-keyshortcuts={shortcut}
      data-tip={shortcut && shortcutsOn.value ? `${action} (${shortcut})` : action}
      onClick={() => void (shape === "in-bar" ? toggleInCall(capture) : capture.toggle())}
    >
      <Icon name={icon} />
      {isFailed && <span class="badge bad" aria-hidden="true">!</span>}
    </button>
  );
}
