import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { pathOfRoom, roomFrom, suggestRoom } from "../pure/room-name.js";
import { go } from "../state/app.js";
import { forgetRoom, recentRooms } from "../state/storage.js";
import { Brand, Icon } from "./icon.js";

export function StartScreen(): JSX.Element {
  const suggestion = useSignal(suggestRoom());
  const typed = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);

  const enter = (e: Event): void => {
    e.preventDefault();
    go(roomFrom(typed.value) || suggestion.value);
  };
  const shuffle = (): void => {
    typed.value = "";
    suggestion.value = suggestRoom();
    field.current?.focus();
  };

  return (
    <main class="page start">
      <Brand />
      <div class="start-body">
        <h1>Talk face to face</h1>
        <p class="lead">Name a room, send its link, and everyone who opens it is in the call. Nothing to install, no account.</p>
        <form class="start-form" onSubmit={enter}>
          <label for="room">Room</label>
          <div class="field with-button">
            <input
              id="room"
              ref={field}
              value={typed.value}
              placeholder={suggestion.value}
              maxLength={400}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              enterkeyhint="go"
              onInput={(e) => (typed.value = e.currentTarget.value)}
            />
            <button type="button" class="quiet" aria-label="Suggest another name" data-tip="Another name" onClick={shuffle}>
              <Icon name="shuffle" />
            </button>
          </div>
          <button type="submit" class="primary">
            Start or join
          </button>
        </form>
        <Recent />
      </div>
    </main>
  );
}

function Recent(): JSX.Element | null {
  if (recentRooms.value.length === 0) return null;
  const open = (e: MouseEvent, room: string): void => {
    if (e.ctrlKey || e.metaKey || e.shiftKey) return; // another tab or window, as with any link
    e.preventDefault();
    go(room);
  };
  return (
    <section class="recent" aria-labelledby="recent">
      <h2 id="recent">Recent rooms</h2>
      <ul>
        {recentRooms.value.map(({ room }) => (
          <li key={room}>
            <a href={pathOfRoom(room)} onClick={(e) => open(e, room)}>
              {room}
            </a>
            <button type="button" class="quiet small" aria-label={`Forget ${room}`} data-tip="Forget" onClick={() => forgetRoom(room)}>
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
