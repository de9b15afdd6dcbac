export const prefix = "room-";
