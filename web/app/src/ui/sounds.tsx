import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Call, Playable } from "../state/call.js";
import { canChooseSpeaker, speakerId } from "../state/devices.js";

/** Everyone's sound, in elements that do not move when tiles do. */
export function Sounds({ call }: { readonly call: Call }): JSX.Element {
  const sounds = call.people.value.flatMap((p) => p.sounds);
  return (
    <div hidden>
      {sounds.map(({ id, media }) => (
        <Sound key={id} media={media} speaker={speakerId.value} />
      ))}
    </div>
  );
}

function Sound({ media, speaker }: { readonly media: Playable; readonly speaker: string }): JSX.Element {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => (element.current ? media.attach(element.current) : undefined), [media]);
  useEffect(() => {
    // A speaker that was unplugged is refused: the system's own stays.
    if (canChooseSpeaker()) element.current?.setSinkId(speaker).catch(() => undefined);
  }, [speaker]);
  return <audio ref={element} autoPlay />;
}
