import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { screen, type Screen } from "../state/app.js";
import { DoctorScreen } from "./doctor.js";
import { EndedScreen } from "./end.js";
import { Lobby } from "./lobby.js";
import { RoomScreen } from "./room.js";
import { Sprite } from "./sprite.gen.js";
import { StartScreen } from "./start.js";

export function App(): JSX.Element {
  useSignalEffect(() => {
    document.title = titleOf(screen.value);
  });
  return (
    <>
      <Sprite />
      {screenOf(screen.value)}
    </>
  );
}

function screenOf(now: Screen): JSX.Element {
  switch (now.at) {
    case "start":
      return <StartScreen />;
    case "doctor":
      return <DoctorScreen />;
    case "lobby":
      return <Lobby key={now.room} room={now.room} joining={now.joining} problem={now.problem} />;
    case "call":
      return <RoomScreen call={now.call} />;
    case "ended":
      return <EndedScreen room={now.room} advice={now.advice} />;
  }
}

function titleOf(now: Screen): string {
  switch (now.at) {
    case "start":
      return "Parley";
    case "doctor":
      return "Will calls work? · Parley";
    case "call":
      return `${now.call.room} · Parley`;
    default:
      return `${now.room} · Parley`;
  }
}
