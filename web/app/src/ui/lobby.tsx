// Before a call: how one looks and sounds, and under which name.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Advice, deviceAdvice, type Failure, mergeFailures } from "../pure/advice.js";
import { refusals } from "../pure/may.js";
import { hueOf } from "../pure/people.js";
import { camera, enterRoom, go, invitation, mayUse, microphone, ownName } from "../state/app.js";
import { type Capture, openTogether } from "../state/capture.js";
import { findDevices, watchDevices } from "../state/devices.js";
import { trackPlayable } from "../state/playable.js";
import { AdviceNote } from "./advice.js";
import { Avatar, Video } from "./face.js";
import { DeviceChoices, SoundMeter } from "./devices.js";
import { Brand, Icon } from "./icon.js";
import { SwitchButton } from "./switch-button.js";

interface Props {
  readonly room: string;
  readonly joining: boolean;
  readonly problem: Advice | undefined;
}

export function Lobby({ room, joining, problem }: Props): JSX.Element {
  const invited = invitation.value?.name ?? "";
  const maySend = mayUse(microphone) || mayUse(camera);
  const name = useSignal(invited || ownName.value);
  const isMissing = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (name.value === "" && matchMedia("(pointer: fine)").matches) field.current?.focus();
    if (maySend) void openTogether(microphone, camera).then(findDevices);
    return watchDevices();
  }, []);

  const enter = (e: Event): void => {
    e.preventDefault();
    const given = name.value.trim();
    isMissing.value = given === "";
    if (given === "") field.current?.focus();
    else void enterRoom(room, given);
  };

  return (
    <main class="page lobby">
      <button type="button" class="plain" aria-label="Parley, to the start page" onClick={() => go(undefined)}>
        <Brand />
      </button>
      <div class="lobby-body">
        {maySend ? <Preview name={name.value} /> : <OnlyWatching />}
        <form class="lobby-form" onSubmit={enter} noValidate>
          <h1>
            <span class="eyebrow">You are about to join</span> {room}
          </h1>
          {problem && <AdviceNote advice={problem} />}
          <label for="name">Your name</label>
          <div class="field">
            <input
              id="name"
              ref={field}
              value={name.value}
              maxLength={60}
              disabled={invited !== ""}
              autocomplete="name"
              enterkeyhint="go"
              aria-invalid={isMissing.value}
              aria-describedby={isMissing.value || invited !== "" ? "name-hint" : undefined}
              onInput={(e) => {
                name.value = e.currentTarget.value;
                isMissing.value = false;
              }}
            />
          </div>
          {invited !== "" && (
            <p id="name-hint" class="hint">
              Your invitation gives you this name.
            </p>
          )}
          {isMissing.value && (
            <p id="name-hint" class="hint bad" role="alert">
              Type the name that others will see.
            </p>
          )}
          {maySend && <DeviceChoices {...(mayUse(microphone) && { microphone })} {...(mayUse(camera) && { camera })} />}
          <button type="submit" class="primary" disabled={joining}>
            {joining ? "Joining…" : "Join"}
          </button>
        </form>
      </div>
    </main>
  );
}

function Preview({ name }: { readonly name: string }): JSX.Element {
  const failures = [camera, microphone].flatMap((c) => (c.state.value.is === "failed" ? [c.state.value.failure] : []));
  return (
    <section class="preview" aria-label="Preview">
      <div class="preview-picture">
        <Picture name={name} />
        <div class="preview-switches">
          <PreviewSwitch capture={microphone} />
          <PreviewSwitch capture={camera} />
        </div>
      </div>
      <div class="preview-sound">
        <Icon name={microphone.on.value ? "mic" : "mic-off"} />
        <SoundMeter microphone={microphone} />
      </div>
      {mergeFailures(failures).map((failure) => (
        <AdviceNote key={failure.device + failure.cause} advice={deviceAdvice(failure)} onRetry={() => void retry(failure)} />
      ))}
    </section>
  );
}

function PreviewSwitch({ capture }: { readonly capture: Capture }): JSX.Element {
  const refusal = mayUse(capture) ? "" : refusals[capture.device];
  return <SwitchButton capture={capture} shape="round" refusal={refusal} onToggle={async () => (refusal === "" ? capture.toggle() : undefined)} />;
}

function OnlyWatching(): JSX.Element {
  return (
    <section class="preview" aria-label="Preview">
      <div class="preview-picture">
        <p class="preview-note">With this invitation you watch and listen: nobody sees or hears you.</p>
      </div>
    </section>
  );
}

/** Asks again, with one question for both where both have failed alike. */
async function retry({ device }: Failure): Promise<void> {
  const failed = [microphone, camera].filter((c) => device === c.device || device === "camera and microphone");
  for (const capture of failed) {
    capture.close();
    capture.on.value = true;
  }
  await openTogether(microphone, camera);
  await findDevices();
}

function Picture({ name }: { readonly name: string }): JSX.Element {
  const state = camera.state.value;
  switch (state.is) {
    case "live":
      return <Video media={trackPlayable(state.track)} mirrored={camera.facing.value === "user"} label="Your camera" />;
    case "starting":
      return <p class="preview-note">The browser asks whether this page may use your camera and microphone. Choose “Allow”.</p>;
    case "idle":
    case "failed":
      return (
        <>
          {name.trim() !== "" && <Avatar name={name} hue={hueOf(name)} />}
          <p class="preview-note low">{state.is === "failed" ? <><Icon name="camera-off" /> No picture</> : mayUse(camera) ? "Camera is off" : "With this invitation nobody sees you"}</p>
        </>
      );
  }
}
