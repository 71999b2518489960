// What stands for a person on screen: a picture that moves, or initials.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { initials } from "../pure/people.js";
import type { Playable } from "../state/call.js";

interface VideoProps {
  readonly media: Playable;
  readonly mirrored?: boolean;
  /** Show all of it, rather than fill the tile. */
  readonly whole?: boolean;
  readonly label: string;
}

/** Pictures are always silent: sound has elements of its own, which stay when tiles come and go. */
export function Video({ media, mirrored = false, whole = false, label }: VideoProps): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => (element.current ? media.attach(element.current) : undefined), [media]);
  return (
    <video
      ref={element}
      class={`video${mirrored ? " mirrored" : ""}${whole ? " whole" : ""}`}
      aria-label={label}
      muted
      autoPlay
      playsInline
      disablePictureInPicture={mirrored}
    />
  );
}

export function Avatar({ name, hue }: { readonly name: string; readonly hue: number }): JSX.Element {
  return (
    <span class="avatar" aria-hidden="true" style={{ "--hue": String(hue) }}>
      {initials(name)}
    </span>
  );
}
