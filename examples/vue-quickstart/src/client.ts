import { NotificationApi } from "notification-api-client";

export const api = new NotificationApi({
  url: import.meta.env.VITE_API_URL,
  // A development token of `make token`, valid for one hour. Your sign-in takes its place.
  getIdToken: async () => import.meta.env.VITE_ID_TOKEN,
});
