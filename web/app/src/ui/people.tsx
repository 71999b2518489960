import type { JSX } from "preact";
import { hueOf } from "../pure/people.js";
import type { Call, Person } from "../state/call.js";
import { invite, inviteLabel, isOnlyHere } from "../state/link.js";
import { dialog } from "../state/view.js";
import { Avatar } from "./face.js";
import { Icon } from "./icon.js";

export function PeoplePanel({ call }: { readonly call: Call }): JSX.Element {
  const people = call.people.value;
  return (
    <>
      <ul class="people">
        {people.map((person) => (
          <Row key={person.identity} person={person} mayKick={call.mayKick} />
        ))}
      </ul>
      <div class="panel-foot">
        {people.length === 1 && <p class="soft">You are the first here.{firstStep(call)}</p>}
        <button type="button" onClick={() => invite(call)}>
          <Icon name="copy" /> {inviteLabel(call)}
        </button>
      </div>
    </>
  );
}

function firstStep(call: Call): string {
  if (isOnlyHere.value) return " This server can be reached only on this machine.";
  return call.byInvitation ? "" : " Send the link to whom you want to meet.";
}

function Row({ person, mayKick }: { readonly person: Person; readonly mayKick: boolean }): JSX.Element {
  const { name, isLocal, identity, microphone, camera, shares, speaking } = person;
  const isHeard = microphone === "on";
  const isSeen = camera.is !== "none";
  return (
    <li>
      <Avatar name={name} hue={hueOf(identity)} />
      <span class="people-name">
        <span>{name}</span>
        {isLocal && <small>you</small>}
        {shares.length > 0 && <small>shares a screen</small>}
      </span>
      <span class={`people-mark${isHeard ? "" : " off"}${speaking ? " speaking" : ""}`} data-tip={isHeard ? "Microphone on" : "Muted"}>
        <Icon name={isHeard ? "mic" : "mic-off"} />
        <span class="hidden">{isHeard ? "microphone on" : "muted"}</span>
      </span>
      <span class={`people-mark${isSeen ? "" : " off"}`} data-tip={isSeen ? "Camera on" : "Camera off"}>
        <Icon name={isSeen ? "camera" : "camera-off"} />
        <span class="hidden">{isSeen ? "camera on" : "camera off"}</span>
      </span>
      {mayKick && !isLocal && (
        <button type="button" class="quiet small" aria-label={`Remove ${name}`} data-tip="Remove" onClick={() => (dialog.value = { is: "remove", person })}>
          <Icon name="remove" />
        </button>
      )}
    </li>
  );
}
