import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Advice, NextAction } from "../pure/advice.js";
import { enterLobby, go } from "../state/app.js";
import { Brand } from "./icon.js";

export function EndedScreen({ room, advice }: { readonly room: string; readonly advice: Advice }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main class="page end">
      <Brand />
      <div class="end-body">
        <h1 ref={heading} tabIndex={-1}>
          {advice.title}
        </h1>
        <p class="lead">{advice.next}</p>
        <div class="end-actions">
          {advice.actions.map((action, i) => (
            <Step key={action} action={action} room={room} isFirst={i === 0} />
          ))}
        </div>
      </div>
    </main>
  );
}

interface StepProps {
  readonly action: NextAction;
  readonly room: string;
  readonly isFirst: boolean;
}

function Step({ action, room, isFirst }: StepProps): JSX.Element | null {
  const look = isFirst ? "primary" : "";
  switch (action) {
    case "rejoin":
      return <button type="button" class={look} onClick={() => enterLobby(room)}>Rejoin</button>;
    case "start":
      return <button type="button" class={look} onClick={() => go(undefined)}>To the start page</button>;
    case "reload":
      return <button type="button" class={look} onClick={() => location.reload()}>Reload</button>;
    case "retry":
    case "https":
    case "trust":
      return null; // these are about devices
  }
}
