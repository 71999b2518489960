// src/example.ts
import { join, openDevices, ParleyError } from "/sdk/parley.js";
var form = document.querySelector("form");
var status = document.querySelector("[role=status]");
var tiles = document.querySelector("main");
form.addEventListener("submit", (e) => {
  e.preventDefault();
  const fields = new FormData(form);
  call(String(fields.get("room")), String(fields.get("name"))).catch((reason) => {
    status.textContent = reason instanceof ParleyError ? `${reason.message} ${reason.next ?? ""}` : String(reason);
  });
});
async function call(name, as) {
  const devices = await openDevices({ audio: true, video: { width: 1280, height: 720 } });
  const room = await join({ room: name, name: as });
  form.hidden = true;
  room.addEventListener("connectionstate", (e) => {
    status.textContent = e.reason ? `${e.state}: ${e.reason.message}` : e.state;
  });
  room.addEventListener("track", ({ subscription }) => {
    const element = document.createElement(subscription.kind);
    element.title = subscription.participant.name;
    subscription.attach(element);
    subscription.addEventListener("statuschanged", (e) => {
      if (e.status === "ended") element.remove();
    });
    tiles.append(element);
  });
  room.addEventListener("playbackblocked", () => {
    status.textContent = "Click anywhere to hear the others.";
  });
  room.addEventListener("playbackallowed", () => status.textContent = "");
  await room.publish(devices);
}
