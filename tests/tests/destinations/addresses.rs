//! Where requests may go.

use operations::status::Condition;
use simulators::webhook::WebhookFault;
use tests::DestinationsFixture;

#[tokio::test]
async fn an_address_of_a_private_network_gets_nothing_unless_it_is_allowed() {
    let world = DestinationsFixture::with_customers(3).await;
    world.add(&["hook"], "").await;
    let mut registration = world.connections().get(&world.key("hook")).await.unwrap().unwrap();
    registration.document =
        registration.document.replace("\"allow_private_addresses\":true", "\"allow_private_addresses\":false");
    world.connections().put(&registration).await.unwrap();
    world.minute().await;
    assert_eq!(world.hook.requests().received, 0);
    let status = world.destination("hook").await;
    assert_eq!(status.condition, Condition::Failing);
    assert!(status.error.unwrap().message.contains("private network"));
    // Its name is looked up, and found to be such an address.
    registration.document = registration.document.replace("127.0.0.1", "localhost");
    world.connections().put(&registration).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(3_600));
    world.minute().await;
    assert_eq!(world.hook.requests().received, 0);
    assert!(world.destination("hook").await.error.unwrap().message.contains("private network"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = DestinationsFixture::with_customers(1).await;
    let elsewhere = DestinationsFixture::with_customers(0).await;
    elsewhere.add(&["hook"], "").await;
    let registration = elsewhere.connections().get(&elsewhere.key("hook")).await.unwrap().unwrap();
    let url = registration.document.split("\"url\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.hook.fault(Some(WebhookFault::Redirect(url).into()));
    world.add(&["hook"], "").await;
    world.minute().await;
    assert_eq!(elsewhere.hook.requests().received, 0);
    let message = world.destination("hook").await.error.unwrap().message;
    assert!(message.contains("302") && message.contains("not followed"), "{message}");
}
