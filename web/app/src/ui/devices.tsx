// Choosing devices, and seeing that the microphone hears.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Capture } from "../state/capture.js";
import { canChooseSpeaker, chooseSpeaker, type Device, devices, speakerId } from "../state/devices.js";
import { Meter, meterLength } from "../state/meter.js";
import { Icon } from "./icon.js";
import type { IconName } from "./sprite.gen.js";

const lookMs = 60;

/** How loud the microphone is, as a bar. */
export function SoundMeter({ microphone }: { readonly microphone: Capture }): JSX.Element {
  const bar = useRef<HTMLDivElement>(null);
  const state = microphone.state.value;
  const track = microphone.on.value && state.is === "live" ? state.track : undefined;
  useEffect(() => {
    if (!track) {
      bar.current?.style.setProperty("--level", "0");
      return undefined;
    }
    const meter = new Meter(track);
    const interval = setInterval(() => bar.current?.style.setProperty("--level", meterLength(meter.level()).toFixed(2)), lookMs);
    return () => {
      clearInterval(interval);
      meter.close();
    };
  }, [track]);
  return (
    <div class="meter" aria-hidden="true">
      <div class="meter-bar" ref={bar} />
    </div>
  );
}

interface ChoicesProps {
  /** Without them one only hears. */
  readonly microphone?: Capture;
  readonly camera?: Capture;
}

export function DeviceChoices({ microphone, camera }: ChoicesProps): JSX.Element {
  const { cameras, microphones, speakers } = devices.value;
  return (
    <div class="choices">
      {microphone && <Choice icon="mic" label="Microphone" devices={microphones} chosen={idOf(microphone)} onChoose={(id) => void microphone.choose(id)} />}
      {camera && <Choice icon="camera" label="Camera" devices={cameras} chosen={idOf(camera)} onChoose={(id) => void camera.choose(id)} />}
      {canChooseSpeaker() && <Choice icon="sound" label="Speaker" devices={speakers} chosen={speakerId.value} onChoose={chooseSpeaker} />}
    </div>
  );
}

/** The device that is open, or the one that will be. */
function idOf(capture: Capture): string {
  const state = capture.state.value;
  return (state.is === "live" && state.track.getSettings().deviceId) || capture.deviceId.value;
}

interface ChoiceProps {
  readonly icon: IconName;
  readonly label: string;
  readonly devices: readonly Device[];
  readonly chosen: string;
  readonly onChoose: (id: string) => void;
}

function Choice({ icon, label, devices: list, chosen, onChoose }: ChoiceProps): JSX.Element | null {
  if (list.length === 0) return null;
  const known = list.some((d) => d.id === chosen) ? chosen : (list[0]?.id ?? "");
  return (
    <label class="choice">
      <Icon name={icon} />
      <span class="hidden">{label}</span>
      <select value={known} onChange={(e) => onChoose(e.currentTarget.value)}>
        {list.map((d) => (
          <option key={d.id} value={d.id}>
            {d.label}
          </option>
        ))}
      </select>
      <Icon name="chevron" />
    </label>
  );
}
