export * from "./api";
export * from "./storage";
