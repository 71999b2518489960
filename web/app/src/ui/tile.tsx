// One face, or one shared screen.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Item } from "../pure/arrange.js";
import { hueOf } from "../pure/people.js";
import type { Call, Person, Picture } from "../state/call.js";
import { meterLength } from "../state/meter.js";
import { pinned, togglePin } from "../state/view.js";
import { Avatar, Video } from "./face.js";
import { Icon } from "./icon.js";
import { useLongPress } from "./long-press.js";

export interface TileItem extends Item {
  readonly person: Person;
  readonly picture: Picture;
}

interface Props {
  readonly item: TileItem;
  readonly call: Call;
  readonly size: "large" | "small";
}

const levelMs = 100;

export function Tile({ item, call, size }: Props): JSX.Element {
  const { person, isShare } = item;
  const tile = useRef<HTMLElement>(null);
  const speaking = person.speaking && !isShare;
  const leads = person.leads && !isShare;
  useEffect(() => {
    if (!speaking) return undefined;
    const show = (): void => tile.current?.style.setProperty("--level", meterLength(call.level(person.identity)).toFixed(2));
    show();
    const interval = setInterval(show, levelMs);
    return () => clearInterval(interval);
  }, [speaking, call, person.identity]);

  const longPress = useLongPress(() => mayPin(item, call) && togglePin(item.key));

  const caption = captionOf(item, size);
  const isMuted = !isShare && person.microphone !== "on";
  const hand = isShare ? 0 : person.hand;
  const isPinned = pinned.value === item.key;
  const isLeftOut = item.picture.is === "shown" && item.picture.leftOut === true;
  return (
    <figure
      ref={tile}
      class={`tile ${size}${speaking ? " speaking" : ""}${leads ? " leads" : ""}${isShare ? " share" : ""}`}
      tabIndex={-1}
      aria-label={[caption, isMuted && "muted", hand > 0 && `hand raised, number ${hand}`, isLeftOut && "video paused", isPinned && "pinned"].filter(Boolean).join(", ")}
      onDblClick={() => mayPin(item, call) && togglePin(item.key)}
      {...longPress}
    >
      {contentOf(item, call)}
      <div class="tile-marks">
        {hand > 0 && (
          <p class="tile-mark raised">
            <Icon name="hand" />
            <span>{hand}</span>
          </p>
        )}
        {isLeftOut && (
          <p class="tile-mark" title="Seen when they speak for a while, or when you pin them">
            <Icon name="paused" />
            <span>Video paused</span>
          </p>
        )}
      </div>
      <figcaption class="caption">
        {isPinned && <Icon name="pin" />}
        {isMuted && <Icon name="mic-off" />}
        <span>{caption}</span>
      </figcaption>
      <TileButtons item={item} call={call} caption={caption} />
    </figure>
  );
}

function captionOf({ person: { name }, isShare, isLocal }: TileItem, size: Props["size"]): string {
  if (isShare) return `${name}’s screen`;
  if (isLocal) return size === "small" ? "You" : `${name} (you)`;
  return name;
}

function contentOf({ person, picture, isShare, isLocal }: TileItem, call: Call): JSX.Element {
  switch (picture.is) {
    case "shown": {
      const mirrored = isLocal && !isShare && call.camera.facing.value === "user";
      return (
        <>
          {/* what is seen until the first picture comes */}
          {!isShare && <Avatar name={person.name} hue={hueOf(person.identity)} />}
          <Video media={picture.media} mirrored={mirrored} whole={isShare} label={isShare ? `Screen of ${person.name}` : person.name} />
          {picture.held && <p class="tile-note over-picture">Paused: your network is slow</p>}
        </>
      );
    }
    case "none":
      return <Avatar name={person.name} hue={hueOf(person.identity)} />;
    case "waiting":
      return isShare ? <p class="tile-note">The screen is coming…</p> : <Avatar name={person.name} hue={hueOf(person.identity)} />;
    case "undecodable":
      return <p class="tile-note">This browser cannot show {picture.codec.toUpperCase()} video.</p>;
  }
}

const mayPin = ({ key }: TileItem, call: Call): boolean => pinned.value === key || call.people.value.length > 1;

function TileButtons({ item, call, caption }: { readonly item: TileItem; readonly call: Call; readonly caption: string }): JSX.Element {
  const isPinned = pinned.value === item.key;
  const canFlip = item.isLocal && !item.isShare && item.picture.is === "shown" && isTouch();
  const action = isPinned ? "Unpin" : "Pin";
  return (
    <div class="tile-buttons">
      {mayPin(item, call) && (
        <button type="button" class={`over${isPinned ? " stay" : ""}`} aria-label={`${action} ${caption}`} aria-pressed={isPinned} data-tip={action} onClick={() => togglePin(item.key)}>
          <Icon name={isPinned ? "unpin" : "pin"} />
        </button>
      )}
      {canFlip && (
        <button type="button" class="over stay" aria-label="Other camera" onClick={() => void call.camera.flip()}>
          <Icon name="flip" />
        </button>
      )}
    </div>
  );
}

export const isTouch = (): boolean => matchMedia("(pointer: coarse)").matches;
