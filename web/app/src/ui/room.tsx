// The screen of a call.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { lasting, type Loss, lossWords } from "../pure/loss.js";
import { announceTogether } from "../state/announce.js";
import type { Call, Sharing } from "../state/call.js";
import { watchDevices } from "../state/devices.js";
import { speakingWhileMuted, watchMutedSpeech } from "../state/muted-hint.js";
import { listenForShortcuts, talking } from "../state/shortcuts.js";
import { dismissAll } from "../state/toasts.js";
import { panel } from "../state/view.js";
import { keepAwake } from "../state/wake-lock.js";
import { Bar } from "./bar.js";
import { Dialogs } from "./dialogs.js";
import { keepFocus } from "./focus.js";
import { Gallery } from "./gallery.js";
import { Icon } from "./icon.js";
import { SidePanel } from "./panel.js";
import { Sounds } from "./sounds.js";
import { isTouch } from "./tile.js";
import { Toasts } from "./toasts.js";

export function RoomScreen({ call }: { readonly call: Call }): JSX.Element {
  useEffect(() => {
    const ends = [listenForShortcuts(call), watchMutedSpeech(call.microphone), watchDevices(), keepAwake(), announceTogether(call), keepFocus(), dismissAll];
    return () => {
      for (const end of ends) end();
    };
  }, [call]);

  return (
    <div class={`room${panel.value === "none" ? "" : " with-panel"}`}>
      <div class="notices">
        <Banners call={call} />
        <Toasts />
      </div>
      <Gallery call={call} />
      <SidePanel call={call} />
      <Bar call={call} />
      <Sounds call={call} />
      <Dialogs call={call} />
    </div>
  );
}

/** How the call is, and what one is in. */
function Banners({ call }: { readonly call: Call }): JSX.Element {
  return (
    <div class="banners">
      <ConnectionBanner call={call} />
      {call.restart.value !== undefined && (
        <div class="banner" role="status">
          <Icon name="warning" />
          {`The server restarts within ${call.restart.value} s. You come back by yourself.`}
        </div>
      )}
      {!call.may.value.watch && (
        <div class="banner" role="status">
          <Icon name="camera-off" />
          You may not see and hear the others now.
        </div>
      )}
      <SharingBanner call={call} sharing={call.sharing.value} />
      {call.soundBlocked.value && (
        <div class="banner" role="alert">
          <Icon name="sound" />
          The browser holds back the sound.
          <button type="button" class="primary small" onClick={() => void call.playSound()}>
            Hear the others
          </button>
        </div>
      )}
      {speakingWhileMuted.value && !talking.value && (
        <div class="banner" role="alert">
          <Icon name="mic-off" />
          {isTouch() ? "You are muted. Tap the microphone to talk." : "You are muted. Press M to talk, or hold Space."}
        </div>
      )}
      {talking.value && (
        <div class="banner lit">
          <Icon name="mic" />
          You can be heard while you hold Space.
        </div>
      )}
    </div>
  );
}

function ConnectionBanner({ call }: { readonly call: Call }): JSX.Element | null {
  const trouble = call.trouble.value;
  if (trouble) {
    return (
      <div class="banner warn tall" role="alert">
        <span class="spinner" />
        <div>
          <strong>{trouble.title}</strong>
          <p>{trouble.next}</p>
        </div>
      </div>
    );
  }
  switch (call.connection.value) {
    case "connected":
      return null;
    case "connecting":
      return (
        <div class="banner" role="status">
          <span class="spinner" /> Connecting…
        </div>
      );
    case "reconnecting":
      return call.loss.value ? <LossBanner loss={call.loss.value} /> : null;
  }
}

const tickMs = 1_000;

/** Screen readers hear what it is, and not each second. */
function LossBanner({ loss }: { readonly loss: Loss }): JSX.Element {
  const now = useSignal(Date.now());
  useEffect(() => {
    const interval = setInterval(() => (now.value = Date.now()), tickMs);
    return () => clearInterval(interval);
  }, []);
  const { title, next } = lossWords(loss, now.value, navigator.onLine);
  return (
    <div class="banner warn tall" role="alert">
      <span class="spinner" />
      <div>
        <strong>{title}</strong>
        {next && <p>{next}</p>}
        <p class="lasting" aria-hidden="true">{`Trying again for ${lasting(now.value - loss.since)}…`}</p>
      </div>
    </div>
  );
}

function SharingBanner({ call, sharing }: { readonly call: Call; readonly sharing: Sharing }): JSX.Element | null {
  if (sharing.is !== "live") return null;
  return (
    <div class="banner lit" role="status">
      <Icon name="share" />
      Everyone sees your screen.
      <button type="button" class="small" onClick={() => void call.toggleSharing()}>
        Stop
      </button>
    </div>
  );
}
