import type { JSX } from "preact";
import { handsFirst } from "../pure/hands.js";
import { hueOf } from "../pure/people.js";
import type { Call, Person } from "../state/call.js";
import { changeHand, mayRaise } from "../state/hands.js";
import { invite, inviteLabel, isOnlyHere } from "../state/link.js";
import { dialog } from "../state/view.js";
import { Avatar } from "./face.js";
import { Icon } from "./icon.js";

export function PeoplePanel({ call }: { readonly call: Call }): JSX.Element {
  const people = call.people.value;
  return (
    <>
      <ul class="people">
        {handsFirst(people).map((person) => (
          <Row key={person.identity} person={person} call={call} />
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

function Row({ person, call }: { readonly person: Person; readonly call: Call }): JSX.Element {
  const { name, isLocal, identity, microphone, camera, shares, speaking, hand } = person;
  const isHeard = microphone === "on";
  const isSeen = camera.is !== "none";
  return (
    <li>
      <Avatar name={name} hue={hueOf(identity)} />
      <span class="people-name">
        <span>{name}</span>
        {isLocal && <small>you</small>}
        {hand > 0 && (
          <small class={mayRaise(call) ? "hidden" : ""}>
            hand raised<span class="hidden">, number {hand}</span>
          </small>
        )}
        {shares.length > 0 && <small>shares a screen</small>}
      </span>
      {hand > 0 && mayRaise(call) && (
        <button
          type="button"
          class="quiet small raised"
          aria-label={isLocal ? "Lower your hand" : `Lower the hand of ${name}`}
          data-tip="Lower the hand"
          onClick={() => void changeHand(call, person, false)}
        >
          <Icon name="hand" />
        </button>
      )}
      <span class={`people-mark${isHeard ? "" : " off"}${speaking ? " speaking" : ""}`} data-tip={isHeard ? "Microphone on" : "Muted"}>
        <Icon name={isHeard ? "mic" : "mic-off"} />
        <span class="hidden">{isHeard ? "microphone on" : "muted"}</span>
      </span>
      <span class={`people-mark${isSeen ? "" : " off"}`} data-tip={isSeen ? "Camera on" : "Camera off"}>
        <Icon name={isSeen ? "camera" : "camera-off"} />
        <span class="hidden">{isSeen ? "camera on" : "camera off"}</span>
      </span>
      {call.mayKick && isLocal && <span class="people-gap" />}
      {call.mayKick && !isLocal && (
        <button type="button" class="quiet small" aria-label={`Remove ${name}`} data-tip="Remove" onClick={() => (dialog.value = { is: "remove", person })}>
          <Icon name="remove" />
        </button>
      )}
    </li>
  );
}
